#include "reverse-proxy/follower.hpp"

#include <map>

namespace karreg::proxy {

namespace {
/// Whether @p route may stand in a table; if not, @p left_out says why.
template <class Route>
bool usable(const Route& route, std::vector<std::string>& left_out) {
  const auto checked = check_route(route);
  if (!checked) left_out.push_back(checked.error().message());
  return checked.has_value();
}
}  // namespace

void Follower::restore(RouteTable table) {
  table_ = std::move(table);
  used_ = table_.version();
}

Follower::Decision Follower::use_table(Decision decision) {
  used_before_ = std::exchange(used_, table_.version());
  decision.use_table = true;
  return decision;
}

Follower::Decision Follower::take(const wire::RouteUpdate& update) {
  Decision decision;
  // Doubled or late.
  if (update.version <= table_.version()) return decision;
  if (update.base != table_.version()) {
    wants_snapshot_ = true;
    return decision;
  }
  auto clean = update;
  // What stood in the place of one that is left out is no longer wanted either.
  std::erase_if(clean.upserts, [&](const wire::Route& route) {
    if (usable(route, decision.left_out)) return false;
    clean.removes.push_back({route.host, route.path});
    return true;
  });
  std::erase_if(clean.tcp_upserts, [&](const wire::TcpRoute& route) {
    if (usable(route, decision.left_out)) return false;
    clean.tcp_removes.push_back(route.port);
    return true;
  });
  const auto applied = table_.apply(clean);
  KARREG_INVARIANT(applied.has_value());
  decision.update = std::move(clean);
  return use_table(std::move(decision));
}

Follower::Decision Follower::take(const wire::RouteSnapshot& snapshot) {
  Decision decision;
  if (snapshot.version < table_.version() && snapshot.for_version != used_) {
    wants_snapshot_ = true;
    return decision;
  }
  std::map<wire::RouteKey, wire::Route> routes;
  for (const auto& route : snapshot.routes)
    if (usable(route, decision.left_out)) routes.insert_or_assign({route.host, route.path}, route);
  std::map<std::uint16_t, wire::TcpRoute> tcp_routes;
  for (const auto& route : snapshot.tcp_routes)
    if (usable(route, decision.left_out)) tcp_routes.insert_or_assign(route.port, route);
  wire::RouteSnapshot clean{snapshot.version, {}, 0};
  clean.routes.reserve(routes.size());
  for (auto& [key, route] : routes) clean.routes.push_back(std::move(route));
  for (auto& [port, route] : tcp_routes) clean.tcp_routes.push_back(std::move(route));
  auto table = RouteTable::from(clean);
  KARREG_INVARIANT(table.has_value());
  wants_snapshot_ = false;
  table_ = std::move(*table);
  return use_table(std::move(decision));
}

}  // namespace karreg::proxy
