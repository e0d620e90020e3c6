#include "reverse-proxy/follower.hpp"

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

Follower::Decision Follower::take(wire::RouteSnapshot snapshot) {
  Decision decision;
  if (snapshot.version < table_.version() && snapshot.for_version != used_) {
    wants_snapshot_ = true;
    return decision;
  }
  table_ = RouteTable::of_usable(std::move(snapshot), decision.left_out);
  wants_snapshot_ = false;
  return use_table(std::move(decision));
}

}  // namespace karreg::proxy
