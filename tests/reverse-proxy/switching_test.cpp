#include <catch2/catch.hpp>

#include "reverse-proxy/loopback.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;

namespace {
/// Clients that ask one request after the other on kept connections, and count what is not right.
class Load {
 public:
  Load(std::uint16_t port, int clients) : port_(port) {
    for (int i = 0; i < clients; ++i) threads_.emplace_back([this, i] { run(i); });
  }
  ~Load() { stop(); }
  void stop() {
    stopping_ = true;
    for (auto& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  int requests() const { return requests_; }
  int lost() const { return lost_; }
  std::string first_loss() {
    const std::lock_guard lock(mutex_);
    return first_loss_;
  }

 private:
  void run(int number) {
    auto client = Peer::connect(port_);
    for (int i = 0; !stopping_; ++i) {
      // Some with a body, some on new connections.
      const bool post = (i + number) % 3 == 0;
      const bool last = i % 50 == 49;
      std::string text = (post ? "POST" : "GET") + std::string(" / HTTP/1.1\r\nHost: a.test\r\n");
      if (last) text += "Connection: close\r\n";
      text += post ? "Content-Length: 4\r\n\r\nbody" : "\r\n";
      client.send(text);
      const auto answer = client.read_message();
      ++requests_;
      if (status_of(answer) != "200") {
        const std::lock_guard lock(mutex_);
        if (lost_++ == 0) first_loss_ = text + "---\n" + answer;
      }
      if (last || status_of(answer) != "200") client = Peer::connect(port_);
    }
  }

  std::uint16_t port_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> requests_{0};
  std::atomic<int> lost_{0};
  std::mutex mutex_;
  std::string first_loss_;
  std::vector<std::thread> threads_;
};
}  // namespace

TEST_CASE("no request is lost while versions replace each other under load") {
  ProxyOptions options;
  options.workers = 2;
  Loopback loop(options);
  auto blue = std::make_unique<App>(App::hello("blue"));
  loop.serve({blue.get()});
  Load load(loop.proxy.port(), 8);
  for (int version = 0; version < 60; ++version) {
    const int before = load.requests();
    auto green = std::make_unique<App>(App::hello("green"));
    loop.serve({green.get()});
    // What the platform does: the old version is switched off when nothing is in flight there.
    REQUIRE(eventually([&] { return loop.proxy.in_use().draining.empty(); }));
    blue->stop();
    blue = std::move(green);
    REQUIRE(eventually([&] { return load.requests() > before + 100; }));
  }
  load.stop();
  INFO(load.first_loss());
  CHECK(load.lost() == 0);
  CHECK(load.requests() > 6000);
}

TEST_CASE("after a switch the old version gets no new request, and finishes what it has") {
  ProxyOptions options;
  options.workers = 2;
  Loopback loop(options);
  std::atomic<int> old_requests{0};
  std::atomic<bool> answer{false};
  App blue([&](Peer& peer, int) {
    while (!peer.read_message().empty()) {
      ++old_requests;
      (void)eventually([&] { return answer.load(); });
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nblue");
    }
  });
  App green(App::hello("green"));
  loop.serve({&blue});
  auto slow = loop.client();
  slow.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return old_requests == 1; }));
  loop.serve({&green});
  const std::map<std::string, int> expected{{"vm-" + blue.address(), 1}};
  CHECK(loop.proxy.in_use().draining == expected);
  for (int i = 0; i < 50; ++i) CHECK(body_of(loop.get()) == "green");
  CHECK(old_requests == 1);
  CHECK(loop.proxy.in_use().draining == expected);
  answer = true;
  CHECK(body_of(slow.read_message()) == "blue");
  CHECK(eventually([&] { return loop.proxy.in_use().draining.empty(); }));
  // The connection of the slow client goes on, at the new version.
  slow.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  CHECK(body_of(slow.read_message()) == "green");
}

TEST_CASE("whenever it is looked at, a version comes with what drains under it") {
  ProxyOptions options;
  options.workers = 2;
  Loopback loop(options);
  std::atomic<int> requests{0};
  std::atomic<bool> answer{false};
  App blue([&](Peer& peer, int) {
    while (!peer.read_message().empty()) {
      ++requests;
      (void)eventually([&] { return answer.load(); }, 60s);
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nblue");
    }
  });
  App green(App::hello("green"));
  loop.serve({&blue});
  auto slow = loop.client();
  slow.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return requests == 1; }));
  const std::map<std::string, int> one_left{{"vm-" + blue.address(), 1}};
  std::atomic<bool> over{false};
  std::thread scheduler([&] {
    while (!over) {
      loop.serve({&green});
      loop.serve({&blue});
    }
  });
  int of_green = 0;
  int of_blue = 0;
  int wrong = 0;
  const bool seen_enough = eventually(
      [&] {
        for (int i = 0; i < 100; ++i) {
          const auto seen = loop.proxy.in_use();
          const bool is_blue = seen.version % 2 == 1;
          ++(is_blue ? of_blue : of_green);
          if (!is_blue && seen.draining != one_left) ++wrong;
        }
        return of_green >= 300 && of_blue >= 300;
      },
      60s);
  over = true;
  scheduler.join();
  CHECK(seen_enough);
  CHECK(wrong == 0);
  answer = true;
  CHECK(body_of(slow.read_message()) == "blue");
}

TEST_CASE("new routes while and after a proxy stops: taken over, then refused at once") {
  for (int round = 0; round < 20; ++round) {
    ProxyOptions options;
    options.workers = 2;
    Loopback loop(options);
    App app(App::hello("hi"));
    loop.serve({&app});
    std::atomic<int> used{0};
    std::string refused;
    std::chrono::steady_clock::duration slowest{};
    std::thread scheduler([&] {
      for (std::uint64_t version = 2; refused.empty(); ++version) {
        const auto table = RouteTable::from({version, loop.routes});
        const auto begun = std::chrono::steady_clock::now();
        const auto result = loop.proxy.use(*table);
        slowest = std::max(slowest, std::chrono::steady_clock::now() - begun);
        if (result)
          ++used;
        else
          refused = result.error().message();
      }
    });
    CHECK(eventually([&] { return used > 3; }));
    loop.proxy.stop(0ms);
    scheduler.join();
    CHECK(refused == "the proxy has stopped");
    CHECK(slowest < 4s);
  }
}

TEST_CASE("an open tunnel does not keep the table by which it was opened") {
  App app([](Peer& peer, int) {
    (void)peer.read_head();
    peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    (void)peer.read_to_end(30s);
  });
  Loopback loop;
  loop.serve({&app});
  const std::weak_ptr<const LiveRoutes> first = loop.proxy.live_routes();
  auto tunnel = loop.client();
  tunnel.send(
      "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  CHECK(status_of(tunnel.read_head()) == "101");
  CHECK(eventually([&] { return loop.metric("tunnels_open") == "1"; }));
  CHECK_FALSE(first.expired());
  loop.serve({&app});
  CHECK(eventually([&] { return first.expired(); }));
  CHECK(loop.metric("tunnels_open") == "1");
}

TEST_CASE("a backend that comes back keeps its count of requests in flight") {
  std::atomic<bool> answer{false};
  App app([&](Peer& peer, int) {
    while (!peer.read_message().empty()) {
      (void)eventually([&] { return answer.load(); });
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    }
  });
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  loop.serve({});
  CHECK(loop.proxy.in_use().draining.size() == 1);
  loop.serve({&app});
  CHECK(loop.proxy.in_use().draining.empty());
  CHECK(loop.metric("backend_in_flight{instance=\"vm-" + app.address() + "\"}") == "1");
  answer = true;
  CHECK(body_of(client.read_message()) == "hi");
}

TEST_CASE("a proxy that stops finishes its requests and says so to its clients") {
  std::atomic<int> requests{0};
  std::atomic<bool> answer{false};
  App app([&](Peer& peer, int) {
    while (!peer.read_message().empty()) {
      ++requests;
      (void)eventually([&] { return answer.load(); });
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    }
  });
  Loopback loop;
  loop.serve({&app});
  answer = true;
  auto idle = loop.client();
  idle.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  CHECK(body_of(idle.read_message()) == "hi");
  answer = false;
  auto busy = loop.client();
  busy.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return requests == 2; }));
  loop.proxy.drain();
  CHECK(idle.closed_by_peer());
  CHECK(eventually([&] {
    try {
      (void)loop.client();
      return false;
    } catch (const std::runtime_error&) {
      return true;
    }
  }));
  answer = true;
  const auto last = busy.read_message();
  CHECK_THAT(last, Catch::Contains("\r\nConnection: close\r\n") && Catch::EndsWith("hi"));
  busy.close();
  CHECK(eventually([&] { return loop.proxy.open_connections() == 0; }));
}

TEST_CASE("a stop with a deadline cuts what does not end") {
  App app([](Peer& peer, int) { (void)peer.read_to_end(20s); });
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  const auto begun = std::chrono::steady_clock::now();
  loop.proxy.stop(200ms);
  CHECK(std::chrono::steady_clock::now() - begun < 3s);
  CHECK(client.closed_by_peer());
}

TEST_CASE("equal instances share the requests") {
  std::atomic<int> counts[3] = {};
  auto counting = [&](int which) {
    return [&counts, which](Peer& peer, int) {
      while (!peer.read_message().empty()) {
        ++counts[which];
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      }
    };
  };
  App a(counting(0));
  App b(counting(1));
  App c(counting(2));
  Loopback loop;
  loop.serve({&a, &b, &c});
  for (int i = 0; i < 90; ++i) CHECK(status_of(loop.get()) == "200");
  for (const auto& count : counts) CHECK(count > 5);
}

TEST_CASE("an update changes the hosts that it names and no others") {
  App blue(App::hello("blue"));
  App green(App::hello("green"));
  Loopback loop;
  std::vector<wire::Route> routes;
  for (int i = 0; i < 300; ++i)
    routes.push_back(Loopback::a_route("h" + std::to_string(i) + ".test", {&blue}));
  loop.use(routes);
  auto table = RouteTable::from({loop.version, routes});
  REQUIRE(table);
  auto update = [&](std::vector<wire::Route> upserts, std::vector<wire::RouteKey> removes) {
    const wire::RouteUpdate made{table->version(), table->version() + 1, std::move(upserts),
                                 std::move(removes)};
    REQUIRE(table->apply(made));
    REQUIRE(loop.proxy.use(*table, made));
  };
  auto get = [&](const std::string& host) {
    return body_of(loop.talk("GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"));
  };
  update({Loopback::a_route("h7.test", {&green})}, {{"h8.test", "/"}});
  CHECK(get("h7.test") == "green");
  CHECK_THAT(get("h8.test"), Catch::Contains("h8.test"));
  CHECK(loop.proxy.live_routes()->of_host("h8.test") == nullptr);
  CHECK(get("h6.test") == "blue");
  CHECK(get("h9.test") == "blue");
  CHECK(loop.proxy.live_routes()->hosts().size() == 299);

  // Another path of a host that is there.
  auto api = Loopback::a_route("h9.test", {&green});
  api.path = "/api/";
  update({api}, {});
  CHECK(loop.proxy.live_routes()->of_host("h9.test")->size() == 2);
  update({}, {{"h9.test", "/"}});
  CHECK(loop.proxy.live_routes()->find("h9.test", "/api/x") != nullptr);
  CHECK(loop.proxy.live_routes()->find("h9.test", "/") == nullptr);
}

TEST_CASE("an instance is retired when the last route to it goes, whichever update that is in") {
  App app(App::hello("hi"));
  Loopback loop;
  loop.use({Loopback::a_route("a.test", {&app}), Loopback::a_route("b.test", {&app})});
  auto table = RouteTable::from({loop.version, loop.routes});
  REQUIRE(table);
  const auto backend = loop.proxy.live_routes()->find("a.test", "/")->backends.at(0);
  auto update = [&](std::vector<wire::Route> upserts, std::vector<wire::RouteKey> removes) {
    const wire::RouteUpdate made{table->version(), table->version() + 1, std::move(upserts),
                                 std::move(removes)};
    REQUIRE(table->apply(made));
    REQUIRE(loop.proxy.use(*table, made));
  };
  update({}, {{"a.test", "/"}});
  CHECK_FALSE(backend->retired());
  // It moves from one host to another in one update, and the old one comes first.
  update({Loopback::a_route("c.test", {&app})}, {{"b.test", "/"}});
  CHECK_FALSE(backend->retired());
  update({}, {{"c.test", "/"}});
  CHECK(backend->retired());
  update({Loopback::a_route("a.test", {&app})}, {});
  CHECK_FALSE(backend->retired());
  CHECK(loop.proxy.live_routes()->find("a.test", "/")->backends.at(0) == backend);
}

TEST_CASE("an update for a table that is not in use takes the whole one") {
  App app(App::hello("hi"));
  Loopback loop;
  loop.serve({&app});
  const auto other = Loopback::a_route("b.test", {&app});
  const auto table = RouteTable::from({9, {other}});
  REQUIRE(table);
  REQUIRE(loop.proxy.use(*table, wire::RouteUpdate{8, 9, {other}, {}}));
  CHECK(loop.proxy.live_routes()->find("a.test", "/") == nullptr);
  CHECK(loop.proxy.live_routes()->find("b.test", "/") != nullptr);
}
