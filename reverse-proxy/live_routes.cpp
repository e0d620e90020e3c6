#include "reverse-proxy/live_routes.hpp"

#include <algorithm>
#include <map>

#include "common/log.hpp"

namespace karreg::proxy {

namespace {

/// @p live: a LiveRoute or LiveTcpRoute.
template <class Live>
void bind_backends(Live& live, const std::vector<wire::Backend>& backends, const Bindings& to,
                   const log::Field& whose) {
  const bool even = std::ranges::all_of(backends, [&](const wire::Backend& backend) {
    return backend.weight > 0 && backend.weight == backends.front().weight;
  });
  if (even && !backends.empty()) live.weight = backends.front().weight;
  live.backends.reserve(backends.size());
  for (const auto& wire : backends) {
    auto backend = to.backends.get(live.app_id, wire);
    if (backend) {
      live.backends.push_back(*backend);
      if (!even) live.weights.push_back(wire.weight);
    } else {
      log::error("backend left out", {whose, log::field("why", backend.error().message())});
    }
  }
}

LiveRoute bind(const wire::Route& route, const Bindings& to) {
  LiveRoute live;
  live.path = route.path;
  live.app_id = route.app_id;
  live.sticky_sessions = route.sticky_sessions;
  live.force_https = route.force_https;
  live.asleep = route.asleep;
  live.rules = to.rules.get(route.app_id, route.rules);
  bind_backends(live, route.backends, to, log::field("host", route.host));
  return live;
}

std::shared_ptr<const TcpRoutes> bind_tcp(const RouteTable& table, const Bindings& to) {
  TcpRoutes routes;
  for (const auto& [port, route] : table.tcp_routes()) {
    auto& live = routes[port];
    live.app_id = route.app_id;
    bind_backends(live, route.backends, to, log::field("port", port));
  }
  return std::make_shared<const TcpRoutes>(std::move(routes));
}

/// nullptr: there is none.
std::shared_ptr<const HostRoutes> bind_host(const std::vector<const wire::Route*>& of_host,
                                            const Bindings& to) {
  if (of_host.empty()) return nullptr;
  HostRoutes routes;
  routes.reserve(of_host.size());
  for (const auto* route : of_host) routes.push_back(bind(*route, to));
  std::ranges::sort(
      routes, [](const LiveRoute& a, const LiveRoute& b) { return a.path.size() > b.path.size(); });
  return std::make_shared<const HostRoutes>(std::move(routes));
}

}  // namespace

LiveRoutes::Place LiveRoutes::place_of(std::string_view host) {
  const auto hash = Hash{}(host);
  // The lowest bits choose the bucket within a shard.
  return {(hash >> 32) % fan_out, (hash >> 40) % fan_out};
}

LiveRoutes::LiveRoutes(const RouteTable& table, const Bindings& to)
    : version_(table.version()), tcp_(bind_tcp(table, to)) {
  std::vector<std::array<Shard, fan_out>> shards(fan_out);
  // By host, so that those of one stand together.
  const auto& all = table.routes();
  for (auto route = all.begin(); route != all.end();) {
    const auto& host = (*route)->host;
    std::vector<const wire::Route*> of_host;
    for (; route != all.end() && (*route)->host == host; ++route) of_host.push_back(route->get());
    const auto at = place_of(host);
    shards[at.group].at(at.shard).emplace(host, bind_host(of_host, to));
  }
  for (std::size_t i = 0; i < fan_out; ++i) {
    Group group;
    bool any = false;
    for (std::size_t j = 0; j < fan_out; ++j) {
      auto& shard = shards[i].at(j);
      if (shard.empty()) continue;
      group.at(j) = std::make_shared<const Shard>(std::move(shard));
      any = true;
    }
    if (any) groups_.at(i) = std::make_shared<const Group>(std::move(group));
  }
}

LiveRoutes::LiveRoutes(const LiveRoutes& before, const RouteTable& table, const Changed& changed,
                       const Bindings& to)
    : version_(table.version()),
      groups_(before.groups_),
      tcp_(changed.tcp ? bind_tcp(table, to) : before.tcp_) {
  std::map<Place, Shard> shards;
  for (const auto& host : changed.hosts) {
    const auto at = place_of(host);
    auto [shard, fresh] = shards.try_emplace(at);
    if (const auto* known = fresh ? shard_at(at) : nullptr) shard->second = *known;
    if (auto routes = bind_host(table.of_host(host), to))
      shard->second.insert_or_assign(host, std::move(routes));
    else
      shard->second.erase(host);
  }
  std::map<std::size_t, Group> groups;
  for (auto& [at, shard] : shards) {
    auto [group, fresh] = groups.try_emplace(at.group);
    if (fresh && groups_.at(at.group)) group->second = *groups_.at(at.group);
    group->second.at(at.shard) =
        shard.empty() ? nullptr : std::make_shared<const Shard>(std::move(shard));
  }
  for (auto& [at, group] : groups) groups_.at(at) = std::make_shared<const Group>(std::move(group));
}

const LiveRoutes::Shard* LiveRoutes::shard_at(const Place& at) const {
  const auto& group = groups_[at.group];
  return group ? (*group)[at.shard].get() : nullptr;
}

void LiveRoutes::each_shard(const std::function<void(const Shard&)>& visit) const {
  for (const auto& group : groups_) {
    if (!group) continue;
    for (const auto& shard : *group)
      if (shard) visit(*shard);
  }
}

const HostRoutes* LiveRoutes::of_host(std::string_view host) const {
  const auto* shard = shard_at(place_of(host));
  if (shard == nullptr) return nullptr;
  const auto found = shard->find(host);
  return found == shard->end() ? nullptr : found->second.get();
}

const LiveRoute* LiveRoutes::find(std::string_view host, std::string_view path) const {
  const auto* routes = of_host(host);
  if (routes == nullptr) return nullptr;
  // "OPTIONS *" is about the site as a whole.
  const auto looked_up = path == "*" ? std::string_view("/") : path;
  for (const auto& route : *routes)
    if (prefix_takes(route.path, looked_up)) return &route;
  return nullptr;
}

tls::ClientCheck LiveRoutes::client_check(std::string_view host) const {
  tls::ClientCheck check;
  const auto* routes = of_host(host);
  if (routes == nullptr) return check;
  bool all_require = true;
  for (const auto& route : *routes) {
    const auto of_route = route.rules ? route.rules->client_check() : tls::ClientCheck{};
    if (!check.trust) check.trust = of_route.trust;
    all_require = all_require && of_route.required && *of_route.trust == *check.trust;
  }
  check.required = all_require && check.trust;
  return check;
}

std::vector<const std::string*> LiveRoutes::hosts() const {
  std::vector<const std::string*> result;
  each_shard([&](const Shard& shard) {
    for (const auto& [host, routes] : shard) result.push_back(&host);
  });
  std::ranges::sort(result, [](const auto* a, const auto* b) { return *a < *b; });
  return result;
}

std::vector<std::shared_ptr<Backend>> LiveRoutes::backends() const {
  std::vector<std::shared_ptr<Backend>> result;
  each_shard([&](const Shard& shard) {
    for (const auto& [host, routes] : shard) append_backends(result, routes.get());
  });
  append_backends(result, *tcp_);
  return result;
}

const LiveTcpRoute* LiveRoutes::find_tcp(std::uint16_t port) const {
  const auto found = tcp_->find(port);
  return found == tcp_->end() ? nullptr : &found->second;
}

void append_backends(std::vector<std::shared_ptr<Backend>>& to, const HostRoutes* routes) {
  if (routes == nullptr) return;
  for (const auto& route : *routes)
    to.insert(to.end(), route.backends.begin(), route.backends.end());
}

void append_backends(std::vector<std::shared_ptr<Backend>>& to, const TcpRoutes& routes) {
  for (const auto& [port, route] : routes)
    to.insert(to.end(), route.backends.begin(), route.backends.end());
}

}  // namespace karreg::proxy
