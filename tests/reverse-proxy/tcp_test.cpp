// TCP services: connections to a port of the proxy reach instances, byte for byte.
#include <catch2/catch.hpp>

#include "common/crypto/digest.hpp"
#include "reverse-proxy/port_loopback.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;

namespace {

/// An address where nobody listens.
std::string nobody() {
  auto opened = open_listeners({"127.0.0.1", 0}, 1, false, "test");
  REQUIRE(opened);
  return "127.0.0.1:" + std::to_string(port_of(opened->front()));
}

void echo(Peer& peer, int) {
  for (;;) {
    const auto bytes = peer.read_exactly(1, 60s);
    if (bytes.empty() || !peer.send(bytes)) return;
  }
}

App::Script says_name(const std::string& name) {
  return [name](Peer& peer, int) {
    peer.send(name + "\n");
    (void)peer.read_to_end(60s);
  };
}

std::string piece_of_noise(std::size_t number) {
  std::string piece(64UL * 1024, '\0');
  std::uint64_t state = number * 2654435761U + 1;
  for (auto& byte : piece) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    byte = static_cast<char>(state >> 56U);
  }
  return piece;
}

}  // namespace

TEST_CASE("a connection to the port of a TCP service reaches an instance, and is told of") {
  ProxyOptions options;
  options.workers = 2;
  App app(echo);
  TcpLoopback loop(options);
  loop.serve_tcp({&app});
  REQUIRE(loop.proxy.tcp_ports() == std::map<std::uint16_t, std::string>{{port_4000, "open"}});
  auto client = loop.tcp();
  REQUIRE(client.send("ping"));
  CHECK(client.read_exactly(4) == "ping");
  CHECK(loop.metric("tcp_open") == "1");
  CHECK(loop.metric("connections_open") == "1");
  client.shutdown_send();
  CHECK(client.closed_by_peer());
  CHECK_FALSE(client.was_reset());
  const auto line = loop.last();
  CHECK(line.app == "app_tcp");
  CHECK(line.instance == "vm-" + app.address());
  CHECK(line.protocol == "tcp");
  CHECK(line.port == port_4000);
  CHECK(line.bytes_in == 4);
  CHECK(line.bytes_out == 4);
  CHECK(line.attempts == 1);
  CHECK(line.ended_by == "client");
  CHECK(line.error.empty());
  CHECK(loop.metric("tcp_connections_total") == "1");
  CHECK(loop.metric("app_tcp_connections_total{app=\"app_tcp\"}") == "1");
  CHECK(loop.metric("app_bytes_in_total{app=\"app_tcp\"}") == "4");
  CHECK(loop.metric("tcp_failures_total") == "0");
}

TEST_CASE("the end of one direction of a TCP connection does not end the other") {
  SECTION("of what the client says") {
    App app([](Peer& peer, int) {
      const auto all = peer.read_to_end();
      peer.send("after the end: " + all);
    });
    TcpLoopback loop;
    loop.serve_tcp({&app});
    auto client = loop.tcp();
    client.send("question");
    client.shutdown_send();
    CHECK(client.read_to_end() == "after the end: question");
    CHECK_FALSE(client.was_reset());
    CHECK(loop.last().ended_by == "client");
  }
  SECTION("of what the instance says") {
    std::string got;
    std::atomic<bool> done{false};
    App app([&](Peer& peer, int) {
      peer.send("all I say");
      peer.shutdown_send();
      got = peer.read_to_end();
      done = true;
    });
    TcpLoopback loop;
    loop.serve_tcp({&app});
    auto client = loop.tcp();
    CHECK(client.read_to_end() == "all I say");
    // Longer than WebSockets have for their last words.
    REQUIRE(client.send("still "));
    REQUIRE(eventually([&] { return loop.open() == 1; }));
    REQUIRE(client.send("here"));
    client.shutdown_send();
    REQUIRE(eventually([&] { return done.load(); }));
    CHECK(got == "still here");
    CHECK(loop.last().ended_by == "instance");
  }
}

TEST_CASE("100 MiB pass a TCP service both ways at once, unchanged") {
  constexpr std::size_t pieces = 1600;
  App app([](Peer& peer, int) {
    for (;;) {
      // As much as there is.
      auto bytes = peer.read_exactly(1, 60s);
      bytes += peer.read_exactly(64UL * 1024 - 1, 0ms);
      if (bytes.empty() || !peer.send(bytes, 60s)) break;
    }
  });
  TcpLoopback loop;
  loop.serve_tcp({&app});
  auto client = loop.tcp();
  crypto::Sha256 sent;
  std::thread sender([&] {
    for (std::size_t i = 0; i < pieces; ++i) {
      const auto piece = piece_of_noise(i);
      sent.add(piece);
      if (!client.send(piece, 60s)) break;
    }
    client.shutdown_send();
  });
  crypto::Sha256 got;
  std::size_t bytes = 0;
  for (;;) {
    const auto piece = client.read_exactly(64UL * 1024, 60s);
    if (piece.empty()) break;
    got.add(piece);
    bytes += piece.size();
  }
  sender.join();
  CHECK(bytes == pieces * 64 * 1024);
  CHECK(got.hex() == sent.hex());
  const auto line = loop.last();
  CHECK(line.bytes_in == bytes);
  CHECK(line.bytes_out == bytes);
}

TEST_CASE("a client that does not read holds the instance back, and loses nothing") {
  const std::string piece(1UL << 20, 'x');
  std::atomic<std::size_t> taken{0};
  std::atomic<bool> stalled{false};
  std::atomic<bool> reads{false};
  constexpr std::size_t all = 64;
  App app([&](Peer& peer, int) {
    for (std::size_t i = 0; i < all; ++i) {
      auto sent = peer.send_some(piece, 500ms);
      taken += sent;
      while (sent < piece.size()) {
        stalled = true;
        if (!eventually([&] { return reads.load(); })) return;
        const auto more = peer.send_some(std::string_view(piece).substr(sent), 10s);
        if (more == 0) return;
        sent += more;
      }
    }
  });
  TcpLoopback loop;
  loop.serve_tcp({&app});
  auto client = loop.tcp();
  REQUIRE(eventually([&] { return stalled.load(); }, 30s));
  // The kernel's buffers of two connections; the proxy's own is 64 KiB.
  CHECK(taken < 24 * piece.size());
  reads = true;
  std::size_t got = 0;
  for (;;) {
    const auto part = client.read_exactly(1UL << 20, 20s);
    if (part.empty()) break;
    got += part.size();
  }
  CHECK(got == all * piece.size());
}

TEST_CASE("an instance that does not accept costs a client nothing but time") {
  App app(says_name("green"));
  TcpLoopback loop;
  auto route = TcpLoopback::a_tcp_route(port_4000, {&app});
  route.backends.push_back({"vm-dead", nobody()});
  loop.use_tcp({route});
  for (int i = 0; i < 20; ++i) {
    auto client = loop.tcp();
    CHECK(client.read_until("\n") == "green\n");
  }
  REQUIRE(eventually([&] { return loop.open() == 0; }));
  CHECK(loop.metric("tcp_failures_total") == "0");
  bool retried = false;
  for (const auto& line : loop.lines) retried = retried || line.attempts == 2;
  CHECK(retried);
}

TEST_CASE("weights are shares of TCP connections, too") {
  App app(says_name("green"));
  App spare(says_name("spare"));
  TcpLoopback loop;
  auto route = TcpLoopback::a_tcp_route(port_4000, {&app, &spare});
  route.backends.back().weight = 0;
  loop.use_tcp({route});
  for (int i = 0; i < 20; ++i) CHECK(loop.tcp().read_until("\n") == "green\n");
  route.backends.front().weight = 0;
  loop.use_tcp({route});
  auto client = loop.tcp();
  CHECK(client.closed_by_peer());
  CHECK(eventually([&] { return loop.metric("tcp_failures_total") == "1"; }));
}

TEST_CASE("without an instance a connection is reset at once") {
  TcpLoopback loop;
  SECTION("none serves") {
    loop.serve_tcp({});
    auto client = loop.tcp();
    CHECK(client.closed_by_peer());
    CHECK(client.was_reset());
    CHECK(loop.last().error == "no instance serves");
    CHECK(loop.metric("tcp_no_backend_total") == "1");
  }
  SECTION("none accepts") {
    loop.use_tcp({{port_4000, "app_tcp", {{"vm-1", nobody()}, {"vm-2", nobody()}}}});
    auto client = loop.tcp();
    CHECK(client.closed_by_peer());
    CHECK(client.was_reset());
    const auto line = loop.last();
    CHECK_THAT(line.error, Catch::StartsWith("cannot connect to 127.0.0.1:"));
    CHECK(line.attempts == 2);
    CHECK(line.instance.empty());
  }
  CHECK(loop.metric("tcp_failures_total") == "1");
  CHECK(loop.metric("app_tcp_failures_total{app=\"app_tcp\"}") == "1");
}

TEST_CASE("who breaks a TCP connection off breaks it off for the other side, too") {
  std::atomic<bool> broken{false};
  App app([&](Peer& peer, int nth) {
    if (nth == 0) {
      (void)peer.read_exactly(1);
      return peer.reset();
    }
    (void)peer.read_exactly(1);
    (void)peer.read_to_end();
    broken = peer.was_reset();
  });
  TcpLoopback loop;
  loop.serve_tcp({&app});
  SECTION("the instance") {
    auto client = loop.tcp();
    client.send("x");
    CHECK(client.closed_by_peer());
    CHECK(client.was_reset());
    CHECK(loop.last().error == "the instance broke off");
  }
  SECTION("the client") {
    auto first = loop.tcp();
    first.send("x");
    REQUIRE(first.closed_by_peer());
    (void)loop.last();
    auto client = loop.tcp();
    client.send("x");
    REQUIRE(eventually([&] { return app.connections() == 2; }));
    client.reset();
    CHECK(eventually([&] { return broken.load(); }));
    CHECK(loop.last().error == "the client broke off");
  }
}

TEST_CASE("after a switch new TCP connections go to the new instances, old ones drain") {
  App blue(says_name("blue"));
  App green(says_name("green"));
  TcpLoopback loop;
  loop.serve_tcp({&blue});
  auto old = loop.tcp();
  CHECK(old.read_until("\n") == "blue\n");
  SECTION("by a whole table") {
    loop.serve_tcp({&green});
  }
  SECTION("by an update") {
    auto table = RouteTable::from({loop.version, {}, 0, loop.tcp_routes});
    wire::RouteUpdate update{loop.version, loop.version + 1, {}, {}};
    update.tcp_upserts = {TcpLoopback::a_tcp_route(port_4000, {&green})};
    REQUIRE(table->apply(update));
    REQUIRE(loop.proxy.use(*table, update));
  }
  const std::map<std::string, int> draining{{"vm-" + blue.address(), 1}};
  CHECK(loop.proxy.in_use().draining == draining);
  for (int i = 0; i < 10; ++i) CHECK(loop.tcp().read_until("\n") == "green\n");
  // The listening sockets are the same as before.
  CHECK(loop.asked.size() == 1);
  old.shutdown_send();
  CHECK(old.closed_by_peer());
  CHECK(eventually([&] { return loop.proxy.in_use().draining.empty(); }));
}

TEST_CASE("a port without a route is closed, its connections go on") {
  App app(echo);
  TcpLoopback loop;
  loop.serve_tcp({&app});
  const auto where = loop.ports.at(port_4000);
  auto client = loop.tcp();
  client.send("a");
  REQUIRE(client.read_exactly(1) == "a");
  auto table = RouteTable::from({loop.version, {}, 0, loop.tcp_routes});
  wire::RouteUpdate update{loop.version, loop.version + 1, {}, {}};
  update.tcp_removes = {port_4000};
  REQUIRE(table->apply(update));
  REQUIRE(loop.proxy.use(*table, update));
  CHECK(loop.asked.back().empty());
  CHECK(loop.proxy.tcp_ports().empty());
  CHECK_THROWS_WITH(Peer::connect(where), Catch::StartsWith("cannot connect"));
  client.send("b");
  CHECK(client.read_exactly(1) == "b");
  // And opens again.
  update = {loop.version + 1, loop.version + 2, {}, {}};
  update.tcp_upserts = loop.tcp_routes;
  REQUIRE(table->apply(update));
  REQUIRE(loop.proxy.use(*table, update));
  auto again = loop.tcp();
  again.send("c");
  CHECK(again.read_exactly(1) == "c");
}

TEST_CASE("why a port is not open can be seen") {
  App app(echo);
  TcpLoopback loop;
  loop.proxy.when_ports_change([](const auto&) {});
  loop.serve_tcp({&app});
  using Ports = std::map<std::uint16_t, std::string>;
  CHECK(loop.proxy.tcp_ports() == Ports{{port_4000, "waits for its socket"}});
  loop.proxy.port_refused(port_4000, "Address already in use");
  CHECK(loop.proxy.tcp_ports() == Ports{{port_4000, "Address already in use"}});
}

TEST_CASE("a TCP connection on which nobody speaks is reset after its time") {
  ProxyOptions options;
  options.limits.tcp_idle_time = 400ms;
  App app(echo);
  TcpLoopback loop(options);
  loop.serve_tcp({&app});
  auto client = loop.tcp();
  // A byte in either direction begins the time anew.
  const auto begun = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begun < 1s) {
    REQUIRE(client.send("a"));
    REQUIRE(client.read_exactly(1) == "a");
  }
  CHECK(client.closed_by_peer());
  CHECK(client.was_reset());
  CHECK(loop.last().error == "idle for too long");
}

TEST_CASE("TCP connections are among those that a proxy holds at most") {
  ProxyOptions options;
  options.limits.connections = 2;
  options.limits.app_share_percent = 100;
  App app(echo);
  TcpLoopback loop(options);
  loop.serve_tcp({&app});
  auto first = loop.tcp();
  first.send("a");
  REQUIRE(first.read_exactly(1) == "a");
  auto http = loop.client();
  REQUIRE(eventually([&] { return loop.proxy.open_connections() == 2; }));
  auto third = loop.tcp();
  CHECK(third.closed_by_peer());
  CHECK(third.was_reset());
  CHECK(loop.metric("connections_refused_total") == "1");
  CHECK(status_of(loop.get()) == "503");
}

TEST_CASE("one application's TCP connections do not take those of all") {
  ProxyOptions options;
  options.limits.connections = 8;
  options.limits.app_share_percent = 25;
  App app(echo);
  TcpLoopback loop(options);
  loop.serve_tcp({&app});
  std::vector<Peer> held;
  for (int i = 0; i < 2; ++i) {
    held.push_back(loop.tcp());
    held.back().send("a");
    REQUIRE(held.back().read_exactly(1) == "a");
  }
  auto third = loop.tcp();
  CHECK(third.closed_by_peer());
  CHECK(loop.last().error == "the application has too many connections");
}

TEST_CASE("a proxy that leaves goes on with its TCP connections, and cuts them when it stops") {
  App app(echo);
  TcpLoopback loop;
  loop.serve_tcp({&app});
  auto client = loop.tcp();
  client.send("a");
  REQUIRE(client.read_exactly(1) == "a");
  loop.proxy.leave();
  // A table of now does not open what was closed.
  loop.serve_tcp({&app});
  client.send("b");
  CHECK(client.read_exactly(1) == "b");
  CHECK(loop.proxy.open_connections() == 1);
  SECTION("it ends by itself") {
    client.shutdown_send();
    CHECK(client.closed_by_peer());
    CHECK(loop.proxy.stop(10s) == 0);
  }
  SECTION("it is cut") {
    CHECK(loop.proxy.stop(200ms) == 1);
    CHECK(client.closed_by_peer());
    CHECK(client.was_reset());
    CHECK(loop.last().error == "cut: the proxy stopped");
  }
}

TEST_CASE("with a balancer in front each TCP connection begins with its header") {
  ProxyOptions options;
  options.proxy_protocol = true;
  App app(echo);
  TcpLoopback loop(options);
  loop.serve_tcp({&app});
  auto client = loop.tcp();
  client.send("PROXY TCP4 192.0.2.7 192.0.2.1 5000 4000\r\nhello");
  CHECK(client.read_exactly(5) == "hello");
  auto without = loop.tcp();
  without.send("hello, I am no header\r\n");
  CHECK(without.closed_by_peer());
}
