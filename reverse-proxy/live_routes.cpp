#include "reverse-proxy/live_routes.hpp"

#include <algorithm>

#include "common/log.hpp"

namespace karreg::proxy {

LiveRoutes::LiveRoutes(const RouteTable& table, BackendRegistry& registry)
    : version_(table.version()) {
  for (const auto& [key, route] : table.routes()) {
    LiveRoute live{route.path, route.app_id, route.sticky_sessions, route.force_https, {}};
    for (const auto& wire : route.backends) {
      auto backend = registry.get(wire);
      if (backend)
        live.backends.push_back(*backend);
      else
        log::error("backend left out",
                   {log::field("host", route.host), log::field("why", backend.error().message())});
    }
    by_host_[route.host].push_back(std::move(live));
  }
  for (auto& [host, routes] : by_host_) {
    std::ranges::sort(routes, [](const LiveRoute& a, const LiveRoute& b) {
      return a.path.size() > b.path.size();
    });
  }
}

const LiveRoute* LiveRoutes::find(std::string_view host, std::string_view path) const {
  const auto it = by_host_.find(host);
  if (it == by_host_.end()) return nullptr;
  // "OPTIONS *" is about the site as a whole.
  const auto looked_up = path == "*" ? std::string_view("/") : path;
  for (const auto& route : it->second)
    if (prefix_takes(route.path, looked_up)) return &route;
  return nullptr;
}

std::vector<const std::string*> LiveRoutes::hosts() const {
  std::vector<const std::string*> result;
  result.reserve(by_host_.size());
  for (const auto& [host, routes] : by_host_) result.push_back(&host);
  std::ranges::sort(result, [](const auto* a, const auto* b) { return *a < *b; });
  return result;
}

std::vector<std::shared_ptr<Backend>> LiveRoutes::backends() const {
  std::vector<std::shared_ptr<Backend>> result;
  for (const auto& [host, routes] : by_host_)
    for (const auto& route : routes)
      result.insert(result.end(), route.backends.begin(), route.backends.end());
  return result;
}

}  // namespace karreg::proxy
