#include "reverse-proxy/route_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/config.hpp"
#include "reverse-proxy/http1/target.hpp"

namespace karreg::proxy {

namespace {
/// What is wrong with @p backends; empty: nothing.
std::string objection_to(const std::vector<wire::Backend>& backends) {
  std::set<std::string_view> ids;
  for (const auto& backend : backends) {
    if (backend.instance_id.empty() || !ids.insert(backend.instance_id).second)
      return "a backend has no instance id or one that is there twice";
    const auto endpoint = parse_endpoint(backend.address);
    if (!endpoint || endpoint->port == 0)
      return "backend address \"" + backend.address + "\" is not host:port";
    if (backend.weight < 0 || backend.weight > wire::Backend::most_weight)
      return fmt::format("backend {} has the weight {}, but it must be from 0 to {}",
                         backend.instance_id, backend.weight, wire::Backend::most_weight);
  }
  return {};
}

wire::RouteKey key_of(const std::shared_ptr<const wire::Route>& route) {
  return {route->host, route->path};
}
std::uint16_t key_of(const std::pair<const std::uint16_t, wire::TcpRoute>& route) {
  return route.first;
}
const wire::Route& value_of(const std::shared_ptr<const wire::Route>& route) {
  return *route;
}
const wire::TcpRoute& value_of(const std::pair<const std::uint16_t, wire::TcpRoute>& route) {
  return route.second;
}

/// Adds to @p removes and @p upserts what makes the ordered routes @p from the routes @p to.
template <class Routes, class Key, class Route>
void append_difference(const Routes& from, const Routes& to, std::vector<Key>& removes,
                       std::vector<Route>& upserts) {
  const auto before = from.value_comp();
  auto a = from.begin();
  auto b = to.begin();
  while (a != from.end() || b != to.end()) {
    if (b == to.end() || (a != from.end() && before(*a, *b))) {
      removes.push_back(key_of(*a));
      ++a;
    } else if (a == from.end() || before(*b, *a)) {
      upserts.push_back(value_of(*b));
      ++b;
    } else {
      if (value_of(*a) != value_of(*b)) upserts.push_back(value_of(*b));
      ++a;
      ++b;
    }
  }
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
  if (const auto why = objection_to(route.backends); !why.empty()) return bad(why);
  return ok();
}

Result<void> check_route(const wire::TcpRoute& route) {
  auto bad = [&](std::string_view why) {
    return Error(ErrorKind::invalid, fmt::format("TCP route of port {}: {}", route.port, why));
  };
  if (route.port == 0) return bad("there is no such port");
  if (route.app_id.empty()) return bad("it belongs to no application");
  if (const auto why = objection_to(route.backends); !why.empty()) return bad(why);
  return ok();
}

bool RouteTable::put(std::shared_ptr<const wire::Route> route) {
  // Those of a snapshot come in order.
  const auto size = routes_.size();
  const auto at = routes_.insert(routes_.end(), route);
  if (routes_.size() > size) return true;
  routes_.insert(routes_.erase(at), std::move(route));
  return false;
}

Result<RouteTable> RouteTable::from(wire::RouteSnapshot snapshot) {
  std::vector<std::string> left_out;
  auto table = of_usable(std::move(snapshot), left_out);
  if (!left_out.empty()) return Error(ErrorKind::invalid, left_out.front());
  return table;
}

RouteTable RouteTable::of_usable(wire::RouteSnapshot snapshot, std::vector<std::string>& left_out) {
  RouteTable table;
  table.version_ = snapshot.version;
  for (auto& route : snapshot.routes) {
    if (const auto checked = check_route(route); !checked) {
      left_out.push_back(checked.error().message());
      continue;
    }
    const auto shared = std::make_shared<const wire::Route>(std::move(route));
    if (!table.put(shared))
      left_out.push_back(fmt::format("route {}{} is there twice", shared->host, shared->path));
  }
  for (const auto& route : snapshot.tcp_routes) {
    if (const auto checked = check_route(route); !checked)
      left_out.push_back(checked.error().message());
    else if (!table.tcp_routes_.insert_or_assign(route.port, route).second)
      left_out.push_back(fmt::format("TCP route of port {} is there twice", route.port));
  }
  return table;
}

bool RouteTable::operator==(const RouteTable& other) const {
  return version_ == other.version_ && tcp_routes_ == other.tcp_routes_ &&
         std::ranges::equal(routes_, other.routes_,
                            [](const auto& a, const auto& b) { return *a == *b; });
}

wire::RouteSnapshot RouteTable::snapshot() const {
  wire::RouteSnapshot snapshot{version_, {}, 0};
  snapshot.routes.reserve(routes_.size());
  for (const auto& route : routes_) snapshot.routes.push_back(*route);
  for (const auto& [port, route] : tcp_routes_) snapshot.tcp_routes.push_back(route);
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
  for (const auto& route : update.tcp_upserts) {
    auto checked = check_route(route);
    if (!checked) return checked;
  }
  for (const auto port : update.tcp_removes) tcp_routes_.erase(port);
  for (const auto& route : update.tcp_upserts) tcp_routes_.insert_or_assign(route.port, route);
  for (const auto& key : update.removes)
    if (const auto at = routes_.find(RouteOrder::Place{key.host, key.path}); at != routes_.end())
      routes_.erase(at);
  for (const auto& route : update.upserts) put(std::make_shared<const wire::Route>(route));
  version_ = update.version;
  return ok();
}

wire::RouteUpdate RouteTable::diff(const RouteTable& from, const RouteTable& to) {
  wire::RouteUpdate update{from.version_, to.version_, {}, {}};
  append_difference(from.routes_, to.routes_, update.removes, update.upserts);
  append_difference(from.tcp_routes_, to.tcp_routes_, update.tcp_removes, update.tcp_upserts);
  return update;
}

std::vector<const wire::Route*> RouteTable::of_host(std::string_view host) const {
  std::vector<const wire::Route*> result;
  for (auto it = routes_.lower_bound(RouteOrder::Place{host, ""});
       it != routes_.end() && (*it)->host == host; ++it)
    result.push_back(it->get());
  return result;
}

const wire::Route* RouteTable::find(std::string_view host, std::string_view path) const {
  const wire::Route* best = nullptr;
  for (const auto* route : of_host(host))
    if (prefix_takes(route->path, path) &&
        (best == nullptr || route->path.size() > best->path.size()))
      best = route;
  return best;
}

void RouteTable::check_invariants() const {
  KARREG_INVARIANT(std::ranges::is_sorted(routes_, RouteOrder{}));
  for (const auto& route : routes_) KARREG_INVARIANT(check_route(*route).has_value());
  for (const auto& [port, route] : tcp_routes_) {
    KARREG_INVARIANT(port == route.port);
    KARREG_INVARIANT(check_route(route).has_value());
  }
}

}  // namespace karreg::proxy
