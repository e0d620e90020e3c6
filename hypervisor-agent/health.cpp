#include "hypervisor-agent/health.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <utility>

#include "common/config.hpp"
#include "common/http/client.hpp"

namespace karreg::agent {

using namespace std::chrono_literals;

namespace {
/// A connection that stands this long was accepted by the app.
constexpr auto stands = 200ms;
constexpr std::size_t max_body = 1024UL * 1024;

/// Ends what waits on @p socket at @p deadline.
class Cut {
 public:
  Cut(asio::ip::tcp::socket& socket, SteadyTime deadline)
      : timer_(socket.get_executor(), deadline), state_(std::make_shared<State>()) {
    timer_.async_wait([&socket, state = state_](const error_code& cancelled) {
      // A timer that fired may find, when its handler runs, that the socket is gone.
      if (cancelled || state->over) return;
      state->fired = true;
      error_code ignored;
      socket.cancel(ignored);
    });
  }
  Cut(const Cut&) = delete;
  Cut& operator=(const Cut&) = delete;
  ~Cut() { state_->over = true; }
  bool fired() const { return state_->fired; }

 private:
  struct State {
    bool fired = false;
    bool over = false;
  };
  asio::steady_timer timer_;
  std::shared_ptr<State> state_;
};

awaitable<Result<void>> check_connection(Endpoint endpoint, std::chrono::milliseconds timeout) {
  auto executor = co_await asio::this_coro::executor;
  error_code ec;
  const auto address = asio::ip::make_address(endpoint.host, ec);
  if (ec) co_return Error(ErrorKind::invalid, "not an address: " + endpoint.host);
  asio::ip::tcp::socket socket(executor);
  {
    const Cut cut(socket, std::chrono::steady_clock::now() + timeout);
    auto [refused] = co_await socket.async_connect({address, endpoint.port}, as_result);
    if (refused)
      co_return Error(ErrorKind::unavailable,
                      fmt::format("no connection to port {}: {}", endpoint.port,
                                  cut.fired() ? "timed out" : refused.message()));
  }
  const Cut cut(socket, std::chrono::steady_clock::now() +
                            std::min<std::chrono::milliseconds>(timeout, stands));
  std::array<char, 1> byte{};
  auto [ended, n] = co_await socket.async_read_some(asio::buffer(byte), as_result);
  if (n > 0 || cut.fired()) co_return ok();
  co_return Error(ErrorKind::unavailable,
                  fmt::format("port {} cuts the connection: {}", endpoint.port, ended.message()));
}

awaitable<Result<void>> check_path(std::string address, wire::HealthCheck check) {
  http::ClientRequest request;
  request.url = "http://" + address + check.path;
  request.headers = {{"X-Karreg-Monitoring", "health"}, {"User-Agent", "karreg-health"}};
  request.deadline = std::chrono::milliseconds(check.timeout_ms);
  request.max_body_bytes = max_body;
  auto response = co_await http::fetch(std::move(request));
  if (!response)
    co_return Error(ErrorKind::unavailable,
                    fmt::format("GET {}: {}", check.path, response.error().message()));
  if (response->status < 200 || response->status >= 400)
    co_return Error(ErrorKind::unavailable,
                    fmt::format("GET {} answered {}", check.path, response->status));
  co_return ok();
}
}  // namespace

bool HealthRecord::observe(bool good) {
  const bool before = healthy_;
  if (good) {
    failures_ = 0;
    healthy_ = true;
  } else if (healthy_ && ++failures_ >= failures_to_unhealthy_) {
    failures_ = 0;
    healthy_ = false;
  }
  return healthy_ != before;
}

bool HealthRecord::condemn() {
  failures_ = 0;
  return std::exchange(healthy_, false);
}

awaitable<Result<void>> check_health(std::string address, wire::HealthCheck check) {
  if (!check.path.empty()) {
    auto result = co_await check_path(std::move(address), std::move(check));
    co_return result;
  }
  auto endpoint = parse_endpoint(address);
  if (!endpoint) co_return endpoint.error();
  auto result = co_await check_connection(*endpoint, std::chrono::milliseconds(check.timeout_ms));
  co_return result;
}

}  // namespace karreg::agent
