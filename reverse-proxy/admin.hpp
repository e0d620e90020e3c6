#pragma once
/// What an operator can ask a proxy: GET /healthz, /metrics, /routes on proxy.admin_listen.

#include "common/http/router.hpp"
#include "common/http/server.hpp"
#include "common/json.hpp"
#include "reverse-proxy/control.hpp"

namespace karreg::proxy {

class Admin {
 public:
  Admin(asio::any_io_executor executor, Proxy& proxy, const Control& control);
  /// Answers at @p listener. Error `invalid` when it does not listen.
  Result<void> start(Descriptor listener);
  std::uint16_t port() const { return server_.port(); }
  /// /healthz answers 503 from now on.
  void say_stopping() { stopping_ = true; }
  awaitable<void> stop(std::chrono::milliseconds grace);

 private:
  awaitable<void> handle(http::Request& request, http::ResponseWriter& response);
  http::Response answer(const std::string& method, const std::string& path);
  http::Response health() const;

  Proxy& proxy_;
  const Control& control_;
  bool stopping_ = false;
  http::Router router_;
  http::Server server_;
};

/// The table in use, with what is known of each backend; of @p host alone, unless that
/// is empty.
nlohmann::json describe_routes(Proxy& proxy, std::string_view host = {});

}  // namespace karreg::proxy
