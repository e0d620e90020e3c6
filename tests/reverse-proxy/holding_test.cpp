// Requests for an application that sleeps: they wait, and none is lost.
#include <catch2/catch.hpp>

#include "reverse-proxy/http2_peer.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;
using Catch::StartsWith;

namespace {

const std::string a_get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

wire::Route asleep(const std::string& host = "a.test") {
  auto route = Loopback::a_route(host, {});
  route.asleep = true;
  return route;
}

bool held(Loopback& loop, int n) {
  return eventually([&] { return loop.metric("held_now") == std::to_string(n); });
}

/// Clients that have each sent a GET.
std::vector<Peer> ask(const Loopback& loop, int n) {
  std::vector<Peer> clients;
  for (int i = 0; i < n; ++i) {
    clients.push_back(loop.client());
    clients.back().send(a_get);
  }
  return clients;
}

}  // namespace

TEST_CASE("requests for an application that sleeps wait until it has an instance") {
  ProxyOptions options;
  options.workers = 2;
  Loopback loop(options);
  loop.use({asleep()});
  auto clients = ask(loop, 60);
  REQUIRE(held(loop, 60));
  CHECK(loop.proxy.held_apps().now() == std::map<std::string, int>{{"app_a.test", 60}});
  // Other routes come and go meanwhile.
  loop.use({asleep(), asleep("b.test")});
  CHECK(loop.metric("held_now") == "60");

  App app(App::hello("awake"));
  loop.serve({&app});
  for (auto& client : clients) CHECK(body_of(client.read_message()) == "awake");
  CHECK(held(loop, 0));
  CHECK(loop.metric("held_total") == "60");
  CHECK(loop.metric("retries_total") == "0");
  CHECK(loop.metric("no_backend_total") == "0");
  CHECK(std::stod(loop.metric("held_seconds_total")) > 0);
  CHECK(loop.proxy.held_apps().now().empty());
  // Connections go on as any others.
  clients[0].send(a_get);
  CHECK(body_of(clients[0].read_message()) == "awake");
}

TEST_CASE("whoever tells the scheduler hears of the first request for each application at once") {
  Loopback loop;
  std::atomic<int> told{0};
  loop.proxy.held_apps().when_new([&] { ++told; });
  loop.use({asleep(), asleep("b.test")});
  auto clients = ask(loop, 3);
  REQUIRE(held(loop, 3));
  CHECK(told == 1);
  auto other = loop.client();
  other.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
  REQUIRE(held(loop, 4));
  CHECK(told == 2);
}

TEST_CASE("an application that is awake without an instance is answered as before") {
  Loopback loop;
  loop.use({Loopback::a_route("a.test", {})});
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 503 ") && Contains("No instance is running"));
  CHECK(loop.metric("held_total") == "0");
}

TEST_CASE("what is held is told so when its application is stopped or deleted") {
  Loopback loop;
  loop.use({asleep()});
  auto clients = ask(loop, 1);
  REQUIRE(held(loop, 1));
  loop.use({Loopback::a_route("a.test", {})});
  CHECK_THAT(clients[0].read_message(), StartsWith("HTTP/1.1 503 ") && Contains("No instance"));
  loop.use({asleep()});
  clients[0].send(a_get);
  REQUIRE(held(loop, 1));
  loop.use({});
  CHECK_THAT(clients[0].read_message(), StartsWith("HTTP/1.1 404 "));
}

TEST_CASE("a body is not read while its request waits, and comes through then") {
  Loopback loop;
  loop.use({asleep()});
  const auto body = letters(6UL * 1024 * 1024);
  auto client = loop.client();
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n\r\n");
  REQUIRE(held(loop, 1));
  // As much as the kernel takes for a proxy that reads nothing, which is not all of it.
  const auto taken = client.send_some(body, 300ms);
  CHECK(taken < body.size());
  CHECK(std::stoul(loop.metric("bytes_in_total")) < 128UL * 1024);
  App app([](Peer& peer, int) {
    const auto text = peer.read_message();
    const auto size = std::to_string(body_of(text).size());
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size.size()) + "\r\n\r\n" +
              size);
  });
  loop.serve({&app});
  REQUIRE(client.send(std::string_view(body).substr(taken)));
  CHECK(body_of(client.read_message()) == std::to_string(body.size()));
}

TEST_CASE("a request whose application does not wake in time is told to come again") {
  ProxyOptions options;
  options.limits.hold_time = 300ms;
  Loopback loop(options);
  loop.use({asleep()});
  const auto begun = std::chrono::steady_clock::now();
  const auto answer = loop.get("/", "Accept: text/html\r\n");
  CHECK(std::chrono::steady_clock::now() - begun >= 300ms);
  CHECK_THAT(answer, StartsWith("HTTP/1.1 503 ") && Contains("\r\nRetry-After: 10\r\n") &&
                         Contains("<html") && Contains("still waking up"));
  CHECK(loop.metric("held_late_total") == "1");
  CHECK(held(loop, 0));
}

TEST_CASE("no more requests wait than may, for one application and for all") {
  ProxyOptions options;
  options.limits.held_per_app = 3;
  options.limits.held = 4;
  Loopback loop(options);
  loop.use({asleep(), asleep("b.test")});
  auto clients = ask(loop, 3);
  REQUIRE(held(loop, 3));
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 503 ") && Contains("\r\nRetry-After: 5\r\n") &&
                             Contains("wait for it already"));
  auto other = loop.client();
  other.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
  REQUIRE(held(loop, 4));
  auto one_more = loop.client();
  one_more.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
  CHECK_THAT(one_more.read_message(), StartsWith("HTTP/1.1 503 "));
  CHECK(loop.metric("held_refused_total") == "2");
  App app(App::hello("awake"));
  loop.serve({&app});
  for (auto& client : clients) CHECK(body_of(client.read_message()) == "awake");
}

TEST_CASE("a visitor who leaves does not wait any more, also when his body was never read") {
  Loopback loop;
  loop.use({asleep()});
  auto clients = ask(loop, 2);
  clients.push_back(loop.client());
  clients[2].send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
  REQUIRE(held(loop, 3));
  clients[0].close();
  CHECK(held(loop, 2));
  clients[2].close();
  CHECK(held(loop, 1));
  CHECK(loop.metric("held_left_total") == "2");
  CHECK(loop.metric("client_left_total") == "2");
  App app(App::hello("awake"));
  loop.serve({&app});
  CHECK(body_of(clients[1].read_message()) == "awake");
}

TEST_CASE("an instance that has woken is met by a few of the held requests at a time") {
  ProxyOptions options;
  options.limits.let_out = 4;
  Loopback loop(options);
  loop.use({asleep()});
  auto clients = ask(loop, 24);
  REQUIRE(held(loop, 24));
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  std::atomic<int> begun{0};
  std::atomic<bool> answer{false};
  App app([&](Peer& peer, int) {
    for (auto text = peer.read_message(); !text.empty(); text = peer.read_message()) {
      const int here = ++now;
      int before = most;
      while (here > before && !most.compare_exchange_weak(before, here)) {
      }
      ++begun;
      if (!text.starts_with("GET /new ")) (void)eventually([&] { return answer.load(); }, 30s);
      --now;
      if (!peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")) return;
    }
  });
  loop.serve({&app});
  REQUIRE(eventually([&] { return begun == 4; }));
  CHECK(loop.metric("held_now") == "20");
  // New ones do not wait for them.
  CHECK(body_of(loop.get("/new")) == "hi");
  CHECK(loop.metric("held_now") == "20");
  answer = true;
  for (auto& client : clients) CHECK(body_of(client.read_message()) == "hi");
  CHECK(begun == 25);
  CHECK(most <= 5);
}

TEST_CASE("who waits for his turn at an application that is awake by now is not sent away") {
  ProxyOptions options;
  options.limits.let_out = 1;
  options.limits.hold_time = 500ms;
  Loopback loop(options);
  loop.use({asleep()});
  auto clients = ask(loop, 3);
  REQUIRE(held(loop, 3));
  std::atomic<bool> answer{false};
  App app([&](Peer& peer, int) {
    while (!peer.read_message().empty()) {
      (void)eventually([&] { return answer.load(); }, 30s);
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    }
  });
  loop.serve({&app});
  REQUIRE(held(loop, 2));
  REQUIRE(held(loop, 0));
  answer = true;
  for (auto& client : clients) CHECK(body_of(client.read_message()) == "hi");
  CHECK(loop.metric("held_late_total") == "0");
}

TEST_CASE(
    "a host that moves to another application takes its visitors along, and keeps up no other") {
  Loopback loop;
  auto other = asleep("other.test");
  other.app_id = asleep().app_id;
  loop.use({asleep(), other});
  auto moving = loop.client();
  moving.send(a_get);
  REQUIRE(held(loop, 1));
  auto staying = loop.client();
  staying.send("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
  REQUIRE(held(loop, 2));

  App app(App::hello("awake"));
  auto moved = asleep();
  moved.app_id = "app_new";
  auto awake = Loopback::a_route("other.test", {&app});
  awake.app_id = other.app_id;
  loop.use({moved, awake});
  CHECK(body_of(staying.read_message()) == "awake");
  REQUIRE(held(loop, 1));
  CHECK(loop.proxy.held_apps().now() == std::map<std::string, int>{{"app_new", 1}});
}

TEST_CASE("those whose instance fails as it wakes are held again, by the time of the first wait") {
  ProxyOptions options;
  options.limits.hold_time = 2s;
  Loopback loop(options);
  loop.use({asleep()});
  auto clients = ask(loop, 1);
  REQUIRE(held(loop, 1));
  {
    App app([](Peer&, int) {});  // accepts and hangs up
    loop.serve({&app});
    REQUIRE(eventually([&] { return app.connections() > 0; }));
    loop.use({asleep()});
  }
  REQUIRE(held(loop, 1));
  CHECK(loop.metric("held_total") == "2");
  App well(App::hello("well"));
  loop.serve({&well});
  CHECK(body_of(clients[0].read_message()) == "well");
}

TEST_CASE("a WebSocket's handshake waits as requests do, and its tunnel holds nobody up") {
  ProxyOptions options;
  options.limits.let_out = 1;
  Loopback loop(options);
  loop.use({asleep()});
  auto tunnel = loop.client();
  tunnel.send(
      "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  REQUIRE(held(loop, 1));
  auto clients = ask(loop, 2);
  REQUIRE(held(loop, 3));
  App app([](Peer& peer, int) {
    const auto head = peer.read_message();
    if (head.find("pgrade") == std::string::npos) {
      peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
      return;
    }
    peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    for (auto byte = peer.read_exactly(1); !byte.empty(); byte = peer.read_exactly(1))
      peer.send(byte);
  });
  loop.serve({&app});
  CHECK(status_of(tunnel.read_head()) == "101");
  for (auto& client : clients) CHECK(body_of(client.read_message()) == "hi");
  tunnel.send("x");
  CHECK(tunnel.read_exactly(1) == "x");
}

TEST_CASE("streams of HTTP/2 wait each for themselves, and one that is reset is gone") {
  SecureLoopback loop;
  loop.use({asleep(), asleep("b.test")});
  Http2Peer client(loop.proxy.tls_port());
  const auto first = client.ask(Http2Peer::get());
  const auto gone = client.ask(Http2Peer::get());
  const auto with_body = client.ask(Http2Peer::post(), "hello");
  REQUIRE(held(loop, 3));
  client.reset(gone);
  REQUIRE(held(loop, 2));
  App other(App::hello("other"));
  App app(App::mirror);
  loop.use({Loopback::a_route("b.test", {&other}), asleep()});
  CHECK(client.fetch(Http2Peer::get("/", "b.test")).body == "other");
  loop.serve({&app});
  CHECK(client.wait(first).status() == "200");
  CHECK_THAT(client.wait(with_body).body, Contains("hello"));
  CHECK(loop.metric("held_left_total") == "1");
}

TEST_CASE("a proxy that drains lets held requests wait until its time is over") {
  SECTION("the application wakes meanwhile") {
    Loopback loop;
    loop.use({asleep()});
    auto clients = ask(loop, 1);
    REQUIRE(held(loop, 1));
    App app(App::hello("awake"));
    std::uint64_t cut = 9;
    std::thread stopping([&] { cut = loop.proxy.stop(20s); });
    // Nobody comes in any more.
    CHECK(eventually([&] {
      try {
        (void)loop.client();
        return false;
      } catch (const std::exception&) {
        return true;
      }
    }));
    CHECK(loop.metric("held_now") == "1");
    loop.serve({&app});
    const auto answer = clients[0].read_message();
    CHECK(body_of(answer) == "awake");
    CHECK_THAT(answer, Contains("\r\nConnection: close\r\n"));
    stopping.join();
    CHECK(cut == 0);
  }
  SECTION("it does not") {
    Loopback loop;
    loop.use({asleep()});
    auto clients = ask(loop, 2);
    REQUIRE(held(loop, 2));
    CHECK(loop.proxy.stop(200ms) == 2);
    CHECK(clients[0].closed_by_peer());
  }
  SECTION("another process takes over") {
    Loopback loop;
    loop.use({asleep()});
    auto clients = ask(loop, 1);
    REQUIRE(held(loop, 1));
    loop.proxy.leave();
    App app(App::hello("awake"));
    loop.serve({&app});
    const auto answer = clients[0].read_message();
    CHECK(body_of(answer) == "awake");
    CHECK_THAT(answer, Contains("\r\nConnection: close\r\n"));
    CHECK(eventually([&] { return loop.proxy.open_connections() == 0; }));
  }
}

TEST_CASE("rules come before the wait: what they answer wakes nobody") {
  Loopback loop;
  auto route = asleep();
  route.rules = nlohmann::json::parse(R"({"maintenance": {"on": true}})").get<wire::SharedRules>();
  loop.use({route});
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 503 "));
  CHECK(loop.metric("held_total") == "0");
  CHECK(loop.metric("by_rules_total") == "1");
}

TEST_CASE("instances with requests in hand, or asked since the last look, are known") {
  std::atomic<bool> answer{false};
  App slow([&](Peer& peer, int) {
    while (!peer.read_message().empty()) {
      (void)eventually([&] { return answer.load(); });
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    }
  });
  ProxyOptions options;
  options.workers = 2;
  Loopback loop(options);
  App idle(App::hello("idle"));
  loop.use({Loopback::a_route("a.test", {&slow}), Loopback::a_route("b.test", {&idle})});
  CHECK(loop.proxy.active().empty());
  auto clients = ask(loop, 3);
  REQUIRE(eventually([&] { return slow.connections() == 3; }));
  for (int looks = 0; looks < 2; ++looks) {
    const auto active = loop.proxy.active();
    REQUIRE(active.size() == 1);
    CHECK(active[0].app_id == "app_a.test");
    CHECK(active[0].instance_id == "vm-" + slow.address());
    CHECK(active[0].in_flight == 3);
  }
  // Also of an instance that is not in the table any more.
  loop.use({});
  CHECK(loop.proxy.active().size() == 1);
  answer = true;
  for (auto& client : clients) CHECK(body_of(client.read_message()) == "hi");
  CHECK(eventually([&] { return loop.proxy.active().empty(); }));
  std::map<std::string, Traffic> answered;
  CHECK(eventually([&] {
    for (const auto& [id, traffic] : *loop.proxy.answered()) answered[id].add(traffic);
    return answered["vm-" + slow.address()].requests() == 3;
  }));
  CHECK(loop.proxy.answered()->empty());
}
