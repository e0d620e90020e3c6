#include "reverse-proxy/admin.hpp"

namespace karreg::proxy {

using nlohmann::json;

namespace {
enum Page : std::size_t { healthz, metrics, routes };
}  // namespace

Admin::Admin(asio::any_io_executor executor, Proxy& proxy, const Control& control)
    : proxy_(proxy),
      control_(control),
      server_(std::move(executor), [this](http::Request& request, http::ResponseWriter& response) {
        return handle(request, response);
      }) {
  router_.add("GET", "/healthz");
  router_.add("GET", "/metrics");
  router_.add("GET", "/routes");
}

Result<void> Admin::start(Descriptor listener) {
  auto started = server_.start(std::move(listener));
  if (!started) return started.error().within("setting proxy.admin_listen");
  return started;
}

awaitable<void> Admin::stop(std::chrono::milliseconds grace) {
  co_await server_.stop(grace);
}

http::Response Admin::health() const {
  const auto status = control_.status();
  const json body{{"status", stopping_ ? "stopping" : "ok"},
                  {"version", status.version},
                  {"has_table", status.has_table},
                  {"waits_for_scheduler", status.wants_snapshot}};
  return http::json_response(stopping_ ? 503 : 200, body.dump());
}

http::Response Admin::answer(const std::string& method, const std::string& path) {
  const auto found = router_.find(method, path);
  if (!found)
    return found.error() == http::Router::Miss::no_such_path
               ? http::error_response(404, "there are /healthz, /metrics and /routes")
               : http::error_response(405, "only GET is offered here");
  switch (static_cast<Page>(found->route)) {
    case healthz:
      return health();
    case metrics:
      return {200, {{"Content-Type", "text/plain; version=0.0.4"}}, proxy_.metrics()};
    case routes:
      break;
  }
  return http::json_response(
      200, describe_routes(proxy_).dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

awaitable<void> Admin::handle(http::Request& request, http::ResponseWriter& response) {
  auto text = answer(request.method, request.path);
  co_await response.send(std::move(text));
}

json describe_routes(Proxy& proxy, std::string_view only) {
  const auto live = proxy.live_routes();
  json all{{"version", live ? live->version() : 0}, {"routes", json::array()}};
  const auto now = std::chrono::steady_clock::now();
  auto describe = [now](const auto& route) {
    json described = json::array();
    for (std::size_t i = 0; i < route.backends.size(); ++i) {
      const auto& b = route.backends[i];
      const int weight = route.weights.empty() ? route.weight : route.weights[i];
      described.push_back({{"instance", b->instance_id},
                           {"address", b->address},
                           {"weight", weight},
                           {"in_flight", b->in_flight()},
                           {"requests", b->requests()},
                           {"set_aside", b->aside(now)}});
    }
    return described;
  };
  if (live) {
    for (const auto* host : live->hosts()) {
      if (!only.empty() && *host != only) continue;
      for (const auto& route : *live->of_host(*host))
        all["routes"].push_back({{"host", *host},
                                 {"path", route.path},
                                 {"app", route.app_id},
                                 {"asleep", route.asleep},
                                 {"backends", describe(route)}});
    }
    if (only.empty()) {
      auto& described = all["tcp_routes"] = json::array();
      for (const auto& [port, route] : live->tcp())
        described.push_back({{"port", port}, {"app", route.app_id}, {"backends", describe(route)}});
    }
  }
  all["draining"] = proxy.in_use().draining;
  return all;
}

}  // namespace karreg::proxy
