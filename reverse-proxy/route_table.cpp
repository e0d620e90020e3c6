#include "reverse-proxy/route_table.hpp"

#include <fmt/format.h>

#include <set>

#include "common/config.hpp"
#include "reverse-proxy/http1/target.hpp"

namespace karreg::proxy {

namespace {
wire::RouteKey key_of(const wire::Route& route) {
  return {route.host, route.path};
}
}  // namespace

bool prefix_takes(std::string_view prefix, std::string_view path) {
  return path.starts_with(prefix) || (path.size() + 1 == prefix.size() && prefix.starts_with(path));
}

Result<void> check_route(const wire::Route& route) {
  auto bad = [&](std::string_view why) {
    return Error(ErrorKind::invalid, fmt::format("route {}{}: {}", route.host, route.path, why));
  };
  std::string normal;
  if (!http1::normalise_host(route.host, normal) || normal != route.host)
    return bad("the host must be a name in lower case without a port");
  if (route.path.empty() || route.path.front() != '/' || route.path.back() != '/')
    return bad("the path must begin and end with /");
  if (!route.rules.unreadable().empty()) return bad(route.rules.unreadable());
  std::set<std::string_view> ids;
  for (const auto& backend : route.backends) {
    if (backend.instance_id.empty() || !ids.insert(backend.instance_id).second)
      return bad("a backend has no instance id or one that is there twice");
    const auto endpoint = parse_endpoint(backend.address);
    if (!endpoint || endpoint->port == 0)
      return bad("backend address \"" + backend.address + "\" is not host:port");
    if (backend.weight < 0 || backend.weight > wire::Backend::most_weight)
      return bad(fmt::format("backend {} has the weight {}, but it must be from 0 to {}",
                             backend.instance_id, backend.weight, wire::Backend::most_weight));
  }
  return ok();
}

Result<RouteTable> RouteTable::from(const wire::RouteSnapshot& snapshot) {
  RouteTable table;
  table.version_ = snapshot.version;
  for (const auto& route : snapshot.routes) {
    auto checked = check_route(route);
    if (!checked) return checked.error();
    if (!table.routes_.emplace(key_of(route), route).second)
      return Error(ErrorKind::invalid,
                   fmt::format("route {}{} is there twice", route.host, route.path));
  }
  return table;
}

wire::RouteSnapshot RouteTable::snapshot() const {
  wire::RouteSnapshot snapshot{version_, {}, 0};
  snapshot.routes.reserve(routes_.size());
  for (const auto& [key, route] : routes_) snapshot.routes.push_back(route);
  return snapshot;
}

Result<void> RouteTable::apply(const wire::RouteUpdate& update) {
  if (update.base != version_)
    return Error(ErrorKind::conflict,
                 fmt::format("the update is for version {}, the table has version {}", update.base,
                             version_));
  if (update.version <= update.base)
    return Error(ErrorKind::invalid, fmt::format("the update from version {} leads back to {}",
                                                 update.base, update.version));
  for (const auto& route : update.upserts) {
    auto checked = check_route(route);
    if (!checked) return checked;
  }
  for (const auto& key : update.removes) routes_.erase(key);
  for (const auto& route : update.upserts) routes_.insert_or_assign(key_of(route), route);
  version_ = update.version;
  return ok();
}

wire::RouteUpdate RouteTable::diff(const RouteTable& from, const RouteTable& to) {
  wire::RouteUpdate update{from.version_, to.version_, {}, {}};
  auto a = from.routes_.begin();
  auto b = to.routes_.begin();
  while (a != from.routes_.end() || b != to.routes_.end()) {
    if (b == to.routes_.end() || (a != from.routes_.end() && a->first < b->first)) {
      update.removes.push_back(a->first);
      ++a;
    } else if (a == from.routes_.end() || b->first < a->first) {
      update.upserts.push_back(b->second);
      ++b;
    } else {
      if (a->second != b->second) update.upserts.push_back(b->second);
      ++a;
      ++b;
    }
  }
  return update;
}

std::vector<const wire::Route*> RouteTable::of_host(const std::string& host) const {
  std::vector<const wire::Route*> result;
  for (auto it = routes_.lower_bound({host, ""}); it != routes_.end() && it->first.host == host;
       ++it)
    result.push_back(&it->second);
  return result;
}

const wire::Route* RouteTable::find(std::string_view host, std::string_view path) const {
  const wire::Route* best = nullptr;
  for (const auto* route : of_host(std::string(host)))
    if (prefix_takes(route->path, path) &&
        (best == nullptr || route->path.size() > best->path.size()))
      best = route;
  return best;
}

void RouteTable::check_invariants() const {
  for (const auto& [key, route] : routes_) {
    KARREG_INVARIANT(key == key_of(route));
    KARREG_INVARIANT(check_route(route).has_value());
  }
}

}  // namespace karreg::proxy
