#include <catch2/catch.hpp>

#include "reverse-proxy/loopback.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;
using Catch::StartsWith;

namespace {
/// An address where nobody listens.
struct Nobody {
  App app{[](Peer&, int) {}};
  Nobody() { app.stop(); }
};

std::string read_stat(const char* name) {
  FILE* file = std::fopen("/proc/self/status", "r");
  char line[256];
  std::string found;
  while (std::fgets(line, sizeof line, file) != nullptr)
    if (std::string_view(line).starts_with(name)) found = line + std::string_view(name).size();
  (void)std::fclose(file);
  return found;
}
long resident_kib() {
  return std::stol(read_stat("VmRSS:"));
}
}  // namespace

TEST_CASE("a kept connection that ends in the wrong moment costs no request that can be repeated") {
  // Each connection answers one request and closes when it has read the second one.
  App app([](Peer& peer, int) {
    (void)peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    (void)peer.read_message();
  });
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  for (int i = 0; i < 100; ++i) {
    INFO("request " << i);
    const std::string method = i % 2 == 0 ? "GET" : "DELETE";
    client.send(method + " / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    const auto answer = client.read_message();
    REQUIRE(status_of(answer) == "200");
  }
  CHECK(std::stoi(loop.metric("stale_total")) >= 40);
  CHECK(loop.metric("backend_failures_total") == "0");
}

TEST_CASE("an application that closes a little after each answer costs no request") {
  // Sometimes before the next request comes, sometimes while it is on its way.
  App app([](Peer& peer, int nth) {
    (void)peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(nth % 60);
    while (std::chrono::steady_clock::now() < until) {
    }
  });
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  // Whether a request crosses an end is a matter of microseconds: on, until one has.
  const auto by = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const auto crossed = [&] { return std::stoi(loop.metric("stale_total")) > 0; };
  for (int i = 0; i < 1000 || !crossed(); ++i) {
    REQUIRE(std::chrono::steady_clock::now() < by);
    INFO("request " << i);
    client.send(i % 2 == 0 ? "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody"
                           : "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    REQUIRE(status_of(client.read_message()) == "200");
  }
  CHECK(loop.metric("backend_failures_total") == "0");
}

TEST_CASE("a kept connection that was closed while idle is not used") {
  App app([](Peer& peer, int) {
    (void)peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  });
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  for (int i = 1; i <= 50; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    REQUIRE(status_of(client.read_message()) == "200");
    REQUIRE(eventually([&] { return app.closed() == i; }));
  }
  CHECK(loop.metric("stale_total") == "0");
  CHECK(loop.metric("backend_failures_total") == "0");
}

TEST_CASE("a POST that an application may have carried out is not repeated") {
  for (const std::string rest : {"\r\n", "Content-Length: 4\r\n\r\nbody"}) {
    INFO(rest);
    std::atomic<int> posts{0};
    // Keeps its connections, and dies of each POST that it has read.
    App app([&](Peer& peer, int) {
      for (;;) {
        const auto message = peer.read_message();
        if (message.starts_with("POST")) ++posts;
        if (!message.starts_with("GET")) return;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
      }
    });
    Loopback loop;
    loop.serve({&app});
    auto client = loop.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    REQUIRE(body_of(client.read_message()) == "hi");
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\n" + rest);
    CHECK(status_of(client.read_message()) == "502");
    CHECK(posts == 1);
    CHECK(loop.metric("retries_total") == "0");
  }
}

TEST_CASE("a POST shares the connections of an application that keeps them") {
  App app(App::hello("hi"));
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  const std::string_view body = "Content-Length: 4\r\n\r\nbody";
  const auto ask = [&](std::string_view method) {
    client.send(std::string(method) + " / HTTP/1.1\r\nHost: a.test\r\n" + std::string(body));
    REQUIRE(body_of(client.read_message()) == "hi");
  };
  // The first connection has answered only once and may be ending.
  ask("PUT");
  ask("PUT");
  CHECK(app.connections() == 1);
  // On a slow machine a second may pass between two requests, after which a POST gets a new one.
  const auto shares = [&] {
    ask("PUT");
    const int before = app.connections();
    ask("POST");
    return app.connections() == before;
  };
  CHECK(eventually(shares));
}

TEST_CASE("a request goes to another instance when one refuses the connection") {
  Nobody dead;
  App alive(App::hello("alive"));
  Loopback loop;
  loop.serve({&dead.app, &alive});
  for (int i = 0; i < 20; ++i) {
    auto client = loop.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody");
    REQUIRE(body_of(client.read_message()) == "alive");
  }
  // Set aside after the first refusals, so that not every request pays for it.
  CHECK(std::stoi(loop.metric("backend_connect_failures_total")) <= 3);
}

TEST_CASE("a GET that an instance broke off is answered by another one, a POST is not repeated") {
  std::atomic<int> broken{0};
  App crashing([&](Peer& peer, int) {
    (void)peer.read_message();
    ++broken;
  });
  App alive(App::hello("alive"));
  for (int round = 0; round < 10; ++round) {
    Loopback loop;
    loop.serve({&crashing, &alive});
    REQUIRE(body_of(loop.get()) == "alive");
  }
  CHECK(broken > 0);
  Loopback loop;
  loop.serve({&crashing});
  broken = 0;
  auto client = loop.client();
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody");
  const auto answer = client.read_message();
  CHECK_THAT(answer,
             StartsWith("HTTP/1.1 502 ") && Contains("The instances of \"a.test\" refused"));
  CHECK(broken == 1);
}

TEST_CASE("dead instances are 502, and the first that lives again is found") {
  Nobody dead;
  Loopback loop;
  loop.serve({&dead.app});
  const auto answer = loop.get();
  CHECK_THAT(answer, StartsWith("HTTP/1.1 502 ") && Contains("\r\nRetry-After: 1\r\n"));
  CHECK(loop.metric("backend_failures_total") == "1");
  App alive(App::hello("alive"));
  loop.serve({&alive});
  CHECK(body_of(loop.get()) == "alive");
}

TEST_CASE("an answer that is not HTTP is 502 and says why") {
  struct Case {
    std::string answer;
    std::string why;
  };
  for (const auto& c : {
           Case{"SSH-2.0-OpenSSH\r\n\r\n",
                "the answer does not begin with an HTTP/1.1 status line"},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                "Content-Length and Transfer-Encoding contradict each other"},
           Case{"HTTP/1.1 200 OK\r\nContent-", "the answer ended in the middle of its header"},
           Case{"HTTP/1.1 101 Switching Protocols\r\n\r\n",
                "it switches to a protocol that was not asked for"},
           Case{"HTTP/1.1 200 OK\r\nA: " + std::string(20'000, 'x') + "\r\n\r\n",
                "the answer's header is too large"},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nx\r\n",
                "a chunk has no size"},
       }) {
    INFO(c.why);
    App app([&](Peer& peer, int) {
      (void)peer.read_head();
      peer.send(c.answer);
    });
    Loopback loop;
    loop.serve({&app});
    const auto answer = loop.get();
    CHECK_THAT(answer, StartsWith("HTTP/1.1 502 ") && Contains(c.why));
  }
}

TEST_CASE("an answer that the application breaks off never looks complete") {
  for (const std::string text :
       {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello"}) {
    INFO(text);
    App app([&](Peer& peer, int) {
      (void)peer.read_head();
      peer.send(text);
      peer.reset();
    });
    Loopback loop;
    loop.serve({&app});
    const auto answer = loop.talk("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    CHECK(status_of(answer) != "none");
    CHECK(answer.find("\r\n0\r\n") == std::string::npos);
    CHECK(eventually([&] { return loop.proxy.open_connections() == 0; }));
  }
}

TEST_CASE("each state has its time") {
  ProxyOptions options;
  options.limits.header_time = 300ms;
  options.limits.idle_time = 300ms;
  options.limits.client_time = 300ms;
  options.limits.answer_time = 300ms;
  Loopback loop(options);
  App silent([](Peer& peer, int) { (void)peer.read_to_end(); });
  App half([](Peer& peer, int) {
    (void)peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    (void)peer.read_to_end();
  });
  App app(App::hello("hi"));

  SECTION("a header that comes too slowly is 408") {
    loop.serve({&app});
    CHECK_THAT(loop.talk("GET / HTTP/1.1\r\nHost:"), StartsWith("HTTP/1.1 408 "));
  }
  SECTION("a body that comes too slowly is 408") {
    loop.serve({&app});
    CHECK_THAT(loop.talk("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nhello"),
               StartsWith("HTTP/1.1 408 "));
    CHECK_THAT(loop.talk("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 99999\r\n\r\nhello"),
               StartsWith("HTTP/1.1 408 "));
    CHECK(loop.metric("backend_in_flight{instance=\"vm-" + app.address() + "\"}") == "0");
  }
  SECTION("a connection without a request is closed") {
    loop.serve({&app});
    auto silent_client = loop.client();
    CHECK(silent_client.closed_by_peer());
    auto client = loop.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    CHECK(body_of(client.read_message()) == "hi");
    CHECK(client.closed_by_peer());
  }
  SECTION("an application that does not answer is 504") {
    loop.serve({&silent});
    CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 504 ") && Contains("gave no answer within"));
    CHECK(loop.metric("backend_timeouts_total") == "1");
  }
  SECTION("an application that stops in its answer is cut") {
    loop.serve({&half});
    CHECK_THAT(loop.talk("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"), Catch::EndsWith("hello"));
    CHECK(loop.metric("truncated_total") == "1");
  }
  SECTION("a client that takes nothing is cut") {
    App flood([](Peer& peer, int) {
      (void)peer.read_message();
      peer.send("HTTP/1.1 200 OK\r\n\r\n");
      const std::string piece(1'000'000, 'x');
      while (peer.send(piece)) {
      }
    });
    loop.serve({&flood});
    auto client = loop.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    CHECK(eventually([&] { return loop.metric("client_left_total") == "1"; }));
  }
}

TEST_CASE("a client that leaves takes its request with it") {
  std::atomic<bool> noticed{false};
  App app([&](Peer& peer, int) {
    (void)peer.read_message();
    noticed = peer.closed_by_peer();
  });
  Loopback loop;
  loop.serve({&app});
  {
    auto client = loop.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    REQUIRE(eventually([&] { return app.connections() == 1; }));
  }
  CHECK(eventually([&] { return noticed.load(); }));
  CHECK(eventually([&] { return loop.metric("client_left_total") == "1"; }));
  CHECK(loop.metric("backend_in_flight{instance=\"vm-" + app.address() + "\"}") == "0");
}

TEST_CASE("a slow reader holds the application back instead of filling memory") {
  constexpr std::size_t total = 200'000'000;
  std::atomic<std::size_t> sent{0};
  App app([&](Peer& peer, int) {
    (void)peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(total) + "\r\n\r\n");
    const std::string piece(1'000'000, 'x');
    for (std::size_t i = 0; i < total / piece.size(); ++i) {
      if (!peer.send(piece)) return;
      sent += piece.size();
    }
    (void)peer.read_to_end();
  });
  Loopback loop;
  loop.serve({&app});
  const auto before = resident_kib();
  auto client = loop.client();
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  const auto head = client.read_head();
  CHECK(status_of(head) == "200");
  // Until nothing moves any more.
  std::size_t last = 0;
  CHECK(eventually([&] {
    const auto now = sent.load();
    // Longer than any pause of a transfer that goes on.
    std::this_thread::sleep_for(200ms);
    return now > 0 && now == std::exchange(last, sent.load()) && now == sent.load();
  }));
  CHECK(sent < 60'000'000);
  CHECK(resident_kib() - before < 20'000);
  std::size_t got = 0;
  while (got < total) {
    const auto piece = client.read_exactly(std::min<std::size_t>(1'000'000, total - got));
    if (piece.empty()) break;
    got += piece.size();
  }
  CHECK(got == total);
}

TEST_CASE("a slow application holds the uploading client back") {
  std::atomic<bool> go_on{false};
  constexpr std::size_t total = 200'000'000;
  App app([&](Peer& peer, int) {
    (void)peer.read_head();
    (void)eventually([&] { return go_on.load(); }, 20s);
    std::size_t got = 0;
    while (got < total) {
      const auto piece = peer.read_exactly(std::min<std::size_t>(1'000'000, total - got));
      if (piece.empty()) return;
      got += piece.size();
    }
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
  });
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: " + std::to_string(total) +
              "\r\n\r\n");
  const auto before = resident_kib();
  const std::string piece(1'000'000, 'x');
  std::size_t sent = 0;
  for (std::size_t n = piece.size(); n == piece.size(); sent += n)
    n = client.send_some(piece, 500ms);
  CHECK(sent < 60'000'000);
  CHECK(resident_kib() - before < 20'000);
  go_on = true;
  while (sent < total) {
    const auto n = std::min(piece.size() - sent % piece.size(), total - sent);
    REQUIRE(client.send(std::string_view(piece).substr(0, n)));
    sent += n;
  }
  CHECK(body_of(client.read_message()) == "done");
}

TEST_CASE("connections over the limit are told so") {
  ProxyOptions options;
  options.limits.connections = 2;
  Loopback loop(options);
  App app(App::hello("hi"));
  loop.serve({&app});
  auto one = loop.client();
  auto two = loop.client();
  REQUIRE(eventually([&] { return loop.proxy.open_connections() == 2; }));
  auto three = loop.client();
  CHECK_THAT(three.read_to_end(), StartsWith("HTTP/1.1 503 ") && Contains("Too many connections"));
  one.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  CHECK(body_of(one.read_message()) == "hi");
  two.close();
  REQUIRE(eventually([&] { return loop.proxy.open_connections() == 1; }));
  CHECK(body_of(loop.get()) == "hi");
}

TEST_CASE("a client over the limit that has sent its request reads why it is refused") {
  ProxyOptions options;
  options.limits.connections = 1;
  Loopback loop(options);
  App app(App::hello("hi"));
  loop.serve({&app});
  auto one = loop.client();
  REQUIRE(eventually([&] { return loop.proxy.open_connections() == 1; }));
  for (int i = 0; i < 100; ++i) {
    INFO("connection " << i);
    auto next = loop.client();
    next.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    REQUIRE(eventually(
        [&] { return loop.metric("connections_refused_total") == std::to_string(i + 1); }));
    const auto answer = next.read_to_end();
    REQUIRE_THAT(answer, StartsWith("HTTP/1.1 503 ") && Contains("Too many connections"));
    REQUIRE_FALSE(next.was_reset());
  }
  one.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  CHECK(body_of(one.read_message()) == "hi");
}

TEST_CASE("connections over the limit that do not go away are not held without end") {
  ProxyOptions options;
  options.limits.connections = 1;
  options.limits.linger_time = 300ms;
  Loopback loop(options);
  auto one = loop.client();
  REQUIRE(eventually([&] { return loop.proxy.open_connections() == 1; }));
  std::vector<Peer> silent;
  for (int i = 0; i < 200; ++i) silent.push_back(loop.client());
  int told = 0;
  for (auto& peer : silent) {
    const auto text = peer.read_to_end();
    if (text.starts_with("HTTP/1.1 503 ")) ++told;
    peer.send("more");
  }
  CHECK(told >= 64);
  // Places are free again.
  CHECK(eventually([&] { return loop.client().read_to_end().starts_with("HTTP/1.1 503 "); }));
}

TEST_CASE("an application that hangs does not take the others with it") {
  ProxyOptions options;
  options.limits.connections = 8;
  Loopback loop(options);
  App silent([](Peer& peer, int) { (void)peer.read_to_end(30s); });
  App app(App::hello("hi"));
  loop.use({Loopback::a_route("a.test", {&silent}), Loopback::a_route("b.test", {&app})});
  std::vector<Peer> waiting;
  for (int i = 0; i < 2; ++i) {
    waiting.push_back(loop.client());
    waiting.back().send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  }
  REQUIRE(eventually([&] { return silent.connections() == 2; }));
  for (int i = 0; i < 20; ++i) {
    const auto refused = loop.get();
    CHECK_THAT(refused, StartsWith("HTTP/1.1 503 ") && Contains("too many requests in hand"));
    auto other = loop.client();
    other.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
    CHECK(body_of(other.read_message()) == "hi");
  }
  CHECK(loop.metric("app_refused_total") == "20");
  // Who gives up makes room.
  waiting.pop_back();
  auto next = loop.client();
  REQUIRE(eventually([&] {
    return loop.metric("backend_in_flight{instance=\"vm-" + silent.address() + "\"}") == "1";
  }));
  next.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  CHECK(eventually([&] { return silent.connections() == 3; }));
}

TEST_CASE("a connection with half a request on it serves nobody else") {
  ProxyOptions options;
  options.limits.answer_time = 300ms;
  const std::string large(3'000'000, 'x');
  App app([&](Peer& peer, int) {
    for (;;) {
      const auto head = peer.read_head();
      if (head.empty()) return;
      // It answers at once, keeps the connection, and reads no body.
      const auto& body = head.find("POST") == 0 ? large : std::string("hi");
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                body);
    }
  });
  Loopback loop(options);
  loop.serve({&app});
  auto client = loop.client();
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 20000000\r\n\r\n");
  std::string half;
  half.resize(20'000'000, 'b');
  client.send_some(half, 700ms);
  const auto answer = client.read_message();
  CHECK(status_of(answer) == "200");
  CHECK(body_of(loop.get()) == "hi");
  CHECK(app.connections() == 2);
}

TEST_CASE("a client that leaves within an answer gets no other one in its place") {
  App app([](Peer& peer, int) {
    peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
    (void)peer.closed_by_peer(20s);
  });
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  const std::string get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
  client.send(get + get);
  client.read_until("0123456789");
  client.shutdown_send();
  CHECK(client.read_to_end(20s).find("HTTP/1.1") == std::string::npos);
}
