#include "reverse-proxy/follower.hpp"

#include <map>

namespace karreg::proxy {

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
  auto usable = update;
  std::erase_if(usable.upserts, [&](const wire::Route& route) {
    const auto checked = check_route(route);
    if (checked) return false;
    decision.left_out.push_back(checked.error().message());
    // What stood there before is no longer wanted either.
    usable.removes.push_back({route.host, route.path});
    return true;
  });
  const auto applied = table_.apply(usable);
  KARREG_INVARIANT(applied.has_value());
  decision.update = std::move(usable);
  return use_table(std::move(decision));
}

Follower::Decision Follower::take(const wire::RouteSnapshot& snapshot) {
  Decision decision;
  if (snapshot.version < table_.version() && snapshot.for_version != used_) {
    wants_snapshot_ = true;
    return decision;
  }
  std::map<wire::RouteKey, wire::Route> usable;
  for (const auto& route : snapshot.routes) {
    const auto checked = check_route(route);
    if (checked)
      usable.insert_or_assign({route.host, route.path}, route);
    else
      decision.left_out.push_back(checked.error().message());
  }
  wire::RouteSnapshot clean{snapshot.version, {}, 0};
  clean.routes.reserve(usable.size());
  for (auto& [key, route] : usable) clean.routes.push_back(std::move(route));
  auto table = RouteTable::from(clean);
  KARREG_INVARIANT(table.has_value());
  wants_snapshot_ = false;
  table_ = std::move(*table);
  return use_table(std::move(decision));
}

}  // namespace karreg::proxy
