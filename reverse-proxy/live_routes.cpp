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

/// nullptr: the table has no route for it.
std::shared_ptr<const HostRoutes> bind_host(const RouteTable& table, const std::string& host,
                                            const Bindings& to) {
  HostRoutes routes;
  for (const auto* route : table.of_host(host)) routes.push_back(bind(*route, to));
  if (routes.empty()) return nullptr;
  std::ranges::sort(
      routes, [](const LiveRoute& a, const LiveRoute& b) { return a.path.size() > b.path.size(); });
  return std::make_shared<const HostRoutes>(std::move(routes));
}

}  // namespace

LiveRoutes::LiveRoutes(const RouteTable& table, const Bindings& to)
    : version_(table.version()), shards_(shard_count), tcp_(bind_tcp(table, to)) {
  std::vector<Shard> shards(shard_count);
  const std::string* last = nullptr;
  // By host, so that those of one stand together.
  for (const auto& [key, route] : table.routes()) {
    if (last != nullptr && *last == key.host) continue;
    last = &key.host;
    shards[shard_of(key.host)].emplace(key.host, bind_host(table, key.host, to));
  }
  for (std::size_t i = 0; i < shard_count; ++i)
    if (!shards[i].empty()) shards_[i] = std::make_shared<const Shard>(std::move(shards[i]));
}

LiveRoutes::LiveRoutes(const LiveRoutes& before, const RouteTable& table, const Changed& changed,
                       const Bindings& to)
    : version_(table.version()),
      shards_(before.shards_),
      tcp_(changed.tcp ? bind_tcp(table, to) : before.tcp_) {
  std::map<std::size_t, Shard> shards;
  for (const auto& host : changed.hosts) {
    const auto at = shard_of(host);
    auto [shard, fresh] = shards.try_emplace(at);
    if (fresh && shards_[at]) shard->second = *shards_[at];
    if (auto routes = bind_host(table, host, to))
      shard->second.insert_or_assign(host, std::move(routes));
    else
      shard->second.erase(host);
  }
  for (auto& [at, shard] : shards)
    shards_[at] = shard.empty() ? nullptr : std::make_shared<const Shard>(std::move(shard));
}

const HostRoutes* LiveRoutes::of_host(std::string_view host) const {
  const auto& shard = shards_[shard_of(host)];
  if (!shard) return nullptr;
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
  for (const auto& shard : shards_) {
    if (!shard) continue;
    for (const auto& [host, routes] : *shard) result.push_back(&host);
  }
  std::ranges::sort(result, [](const auto* a, const auto* b) { return *a < *b; });
  return result;
}

std::vector<std::shared_ptr<Backend>> LiveRoutes::backends() const {
  std::vector<std::shared_ptr<Backend>> result;
  for (const auto& shard : shards_) {
    if (!shard) continue;
    for (const auto& [host, routes] : *shard) append_backends(result, routes.get());
  }
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
