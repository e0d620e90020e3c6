#include "hypervisor-agent/health.hpp"

#include <fmt/format.h>

#include "common/http/server.hpp"
#include "support.hpp"

using namespace karreg;
using namespace karreg::agent;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {
awaitable<void> answer(http::Request& request, http::ResponseWriter& writer) {
  http::Response response;
  response.status = request.path == "/good" ? 204 : request.path == "/moved" ? 302 : 503;
  co_await writer.send(std::move(response));
}

awaitable<void> paths() {
  auto executor = co_await asio::this_coro::executor;
  http::Server server(executor, answer);
  REQUIRE(server.start({"127.0.0.1", 0}));
  const std::string address = fmt::format("127.0.0.1:{}", server.port());
  wire::HealthCheck check;
  check.timeout_ms = 2000;
  check.path = "/good";
  const auto good = co_await check_health(address, check);
  CHECK(good);
  check.path = "/moved";
  const auto moved = co_await check_health(address, check);
  CHECK(moved);
  check.path = "/bad";
  const auto bad = co_await check_health(address, check);
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message() == "GET /bad answered 503");
  co_await server.stop(1s);
  const auto gone = co_await check_health(address, check);
  REQUIRE_FALSE(gone);
  CHECK_THAT(gone.error().message(), Contains("GET /bad: no answer from"));
}

/// What becomes of connections to a listening port.
enum class Manners { hold, cut };

awaitable<Result<void>> connection(Manners manners) {
  auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::acceptor acceptor(executor, {asio::ip::make_address("127.0.0.1"), 0});
  auto held = std::make_shared<std::vector<asio::ip::tcp::socket>>();
  acceptor.async_accept([held, manners](const error_code& ec, asio::ip::tcp::socket socket) {
    if (!ec && manners == Manners::hold) held->push_back(std::move(socket));
  });
  wire::HealthCheck check;
  check.timeout_ms = 2000;
  auto result =
      co_await check_health(fmt::format("127.0.0.1:{}", acceptor.local_endpoint().port()), check);
  co_return result;
}

awaitable<void> connections() {
  const auto held = co_await connection(Manners::hold);
  CHECK(held);
  const auto cut = co_await connection(Manners::cut);
  REQUIRE_FALSE(cut);
  CHECK_THAT(cut.error().message(), Contains("cuts the connection"));
}

awaitable<void> silence() {
  auto executor = co_await asio::this_coro::executor;
  // Accepts, by the kernel's backlog, and never answers.
  asio::ip::tcp::acceptor acceptor(executor, {asio::ip::make_address("127.0.0.1"), 0});
  wire::HealthCheck check;
  check.timeout_ms = 100;
  check.path = "/";
  const auto begin = std::chrono::steady_clock::now();
  const auto result =
      co_await check_health(fmt::format("127.0.0.1:{}", acceptor.local_endpoint().port()), check);
  CHECK_FALSE(result);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}
}  // namespace

TEST_CASE("a path is healthy that answers 2xx or 3xx", "[agent]") {
  test::run(paths());
}

TEST_CASE("without a path a connection must stand", "[agent]") {
  test::run(connections());
}

TEST_CASE("an app that accepts and never answers is not waited for", "[agent]") {
  test::run(silence());
}

TEST_CASE("one good check makes healthy, several bad ones in a row unhealthy", "[agent]") {
  HealthRecord record(3);
  CHECK_FALSE(record.healthy());
  CHECK_FALSE(record.observe(false));
  CHECK(record.observe(true));
  CHECK_FALSE(record.observe(false));
  CHECK_FALSE(record.observe(false));
  CHECK_FALSE(record.observe(true));  // the row is broken
  CHECK_FALSE(record.observe(false));
  CHECK_FALSE(record.observe(false));
  CHECK(record.healthy());
  CHECK(record.observe(false));
  CHECK_FALSE(record.healthy());
  CHECK(record.observe(true));
  CHECK(record.condemn());
  CHECK_FALSE(record.healthy());
  CHECK_FALSE(record.condemn());
  CHECK(record.observe(true));
}
