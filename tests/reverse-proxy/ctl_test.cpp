// The operator's line to a process that serves: a real socket, the client that the program has.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "reverse-proxy/ctl/client.hpp"
#include "reverse-proxy/ctl/server.hpp"
#include "reverse-proxy/loopback.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using nlohmann::json;

namespace {

struct Operated : Loopback {
  test::ScratchFolder folder;
  std::filesystem::path socket = folder / "proxy-1.sock";
  Control control{"proxy-1", folder / "proxy-1.json", {}, proxy};
  asio::io_context io;
  CtlServer server{io, 7, proxy, control};
  std::thread thread;

  Operated() {
    const auto started = server.start(socket);
    if (!started) throw std::runtime_error(started.error().message());
    thread = std::thread([this] { io.run(); });
  }
  ~Operated() {
    asio::co_spawn(io, server.stop(), asio::detached);
    thread.join();
  }
  Operated(const Operated&) = delete;
  Operated& operator=(const Operated&) = delete;

  json asked(const json& question) const {
    const auto answer = proxy::ask(socket, question);
    INFO((answer ? "" : answer.error().message()));
    REQUIRE(answer);
    return *answer;
  }
};

json table_of(const App& app) {
  return {{"do", "use"},
          {"routes",
           {{{"host", "a.test"},
             {"app_id", "app_a"},
             {"path", "/"},
             {"backends", {{{"instance_id", "vm-1"}, {"address", app.address()}}}}}}}};
}

}  // namespace

TEST_CASE("an operator replaces the routes, and sees them and what they carry") {
  Operated proxy;
  App app(App::hello("here"));
  CHECK(proxy.asked({{"do", "status"}})["has_table"] == false);
  CHECK(proxy.asked(table_of(app)) == json{{"routes", 1}, {"workers", 1}});
  CHECK(body_of(proxy.get()) == "here");

  const auto status = proxy.asked({{"do", "status"}});
  CHECK(status["process"] == 7);
  CHECK(status["has_table"] == true);
  CHECK(status["workers"] == json{0});
  const auto routes = proxy.asked({{"do", "routes"}, {"host", "a.test"}});
  CHECK(routes["routes"][0]["backends"][0]["address"] == app.address());
  CHECK(proxy.asked({{"do", "routes"}, {"host", "b.test"}})["routes"].empty());

  const auto traffic = proxy.asked({{"do", "traffic"}});
  CHECK(traffic["apps"]["app_a"]["answers"] == json{0, 0, 1, 0, 0, 0});
  CHECK(traffic["instances"]["vm-1"]["bytes_out"] > 4);
  CHECK(proxy.metric("app_answers_total{app=\"app_a\",class=\"2xx\"}") == "1");
  CHECK(proxy.metric("app_request_seconds_count{app=\"app_a\"}") == "1");
  CHECK(proxy.metric("instance_bytes_out_total{instance=\"vm-1\"}") != "absent");
}

TEST_CASE("a table with a route that cannot be is refused as a whole") {
  Operated proxy;
  App app(App::hello("here"));
  (void)proxy.asked(table_of(app));
  auto bad = table_of(app);
  bad["routes"].push_back({{"host", "B.test"}, {"path", "/"}});
  const auto refused = proxy::ask(proxy.socket, bad);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind() == ErrorKind::invalid);
  CHECK_THAT(refused.error().message(), Catch::Contains("B.test"));
  CHECK(body_of(proxy.get()) == "here");
}

TEST_CASE("questions that are none are told so") {
  Operated proxy;
  for (const auto& question :
       {json{{"do", "dance"}}, json{{"do", 3}}, json::array(), json("status")}) {
    const auto answer = proxy::ask(proxy.socket, question);
    REQUIRE_FALSE(answer);
    CHECK_THAT(answer.error().message(), Catch::Contains("must be status, routes, traffic or use"));
  }
}

TEST_CASE("the line is its owner's alone, and the next process takes it over") {
  Operated proxy;
  struct stat seen{};
  REQUIRE(stat(proxy.socket.c_str(), &seen) == 0);
  CHECK((seen.st_mode & 0777) == 0600);
  CtlServer next(proxy.io, 8, proxy.proxy, proxy.control);
  REQUIRE(next.start(proxy.socket));
  CHECK(proxy.asked({{"do", "status"}})["process"] == 8);
  std::promise<void> stopped;
  asio::co_spawn(proxy.io, next.stop(), [&](std::exception_ptr) { stopped.set_value(); });
  REQUIRE(stopped.get_future().wait_for(10s) == std::future_status::ready);
  const auto nobody = proxy::ask(proxy.socket, {{"do", "status"}});
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().kind() == ErrorKind::unavailable);
  CHECK_THAT(nobody.error().message(), Catch::Contains(proxy.socket.string()));
}
