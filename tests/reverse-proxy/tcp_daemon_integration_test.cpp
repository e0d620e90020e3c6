// The ports of TCP services of a running karreg-proxy: the master holds them, whatever becomes of
// the processes that serve.
#include <iostream>

#include "reverse-proxy/ctl/client.hpp"
#include "reverse-proxy/ctl/server.hpp"
#include "reverse-proxy/daemon_peer.hpp"
#include "support/datagrams.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;

namespace {

/// Of the range that the proxy may open; below those that systems give out by themselves.
constexpr std::uint16_t ports_wanted = 8;

bool is_free(std::uint16_t port) {
  return open_listeners({"127.0.0.1", port}, 1, false, "test").has_value();
}

/// The first of some ports in a row at which nobody listens.
std::uint16_t free_ports() {
  for (int tries = 0; tries < 100; ++tries) {
    static auto next = static_cast<std::uint16_t>(15'000 + ::getpid() % 1'000 * 16);
    const auto first = next;
    next = static_cast<std::uint16_t>(next < 30'000 ? next + 16 : 15'000);
    bool all = true;
    for (std::uint16_t i = 0; i < ports_wanted; ++i)
      all = all && is_free(static_cast<std::uint16_t>(first + i));
    if (all) return first;
  }
  throw std::runtime_error("no free ports");
}

wire::TcpRoute tcp_to(std::uint16_t port, const App& app) {
  return {port, "app_tcp", {{"vm-" + app.address(), app.address()}}};
}

/// A proxy with a range of ports, and its scheduler.
struct Platform {
  const test::ScratchFolder data;
  const std::string id = "p-" + ids::uuid();
  const std::uint16_t first = free_ports();
  Scheduler scheduler{test_broker(), id};
  Daemon daemon{data, id, test_broker(), settings()};

  /// The process that serves is confined, where it can be.
  std::vector<std::string> settings() const {
    std::filesystem::permissions(data.path(), std::filesystem::perms(0755));
    return {"KARREG_PROXY_TCP_LISTEN=127.0.0.1",
            "KARREG_TCP_PORTS=" + std::to_string(first) + "-" +
                std::to_string(first + ports_wanted - 1),
            std::string("KARREG_PROXY_USER=") + (::geteuid() == 0 ? "nobody" : "")};
  }

  void serve(std::uint64_t version, std::vector<wire::TcpRoute> routes) {
    const wire::RouteSnapshot table{version, {}, 0, std::move(routes)};
    REQUIRE(scheduler.gives(table));
    scheduler.answers_with(table);
  }
  std::string state_of(std::uint16_t port) const {
    const auto status = ask(ctl_socket(data / "proxy" / (id + ".json")), {{"do", "status"}});
    if (!status) return status.error().message();
    return status->at("tcp_ports").value(std::to_string(port), "none");
  }
  bool becomes(std::uint16_t port, const std::string& state) const {
    return eventually([&] { return state_of(port).find(state) != std::string::npos; }, 30s);
  }
};

void echo(Peer& peer, int) {
  for (;;) {
    const auto line = peer.read_until("\n", 60s);
    if (!line.ends_with("\n") || !peer.send(line)) return;
  }
}

/// Connections one after the other, or one for ever, and what they lost.
class Load {
 public:
  Load(std::uint16_t port, int visitors, bool kept) : port_(port), kept_(kept) {
    for (int i = 0; i < visitors; ++i) threads_.emplace_back([this] { run(); });
  }
  ~Load() { end(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  void end() {
    ending_ = true;
    for (auto& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  int done() const { return done_; }
  bool does(int more) {
    const int target = done_ + more;
    return eventually([&] { return done_ >= target || lost_; }, 120s) && !lost_;
  }
  std::string losses() {
    const std::lock_guard lock(mutex_);
    return losses_;
  }

 private:
  void run() {
    try {
      while (!ending_ && !lost_) talk(Peer::connect(port_));
    } catch (const std::exception& e) {
      lost(e.what());
    }
  }
  void talk(Peer peer) {
    for (int said = 0; !ending_ && !lost_ && (kept_ || said < 3); ++said) {
      const auto line = "line " + std::to_string(++next_) + "\n";
      if (!peer.send(line)) return lost("a line was not taken");
      const auto answer = peer.read_until("\n", 60s);
      if (answer != line) return lost("to " + line + " came: " + answer);
      ++done_;
    }
    peer.shutdown_send();
    if (!peer.closed_by_peer() || peer.was_reset()) lost("an end was not heard");
  }
  void lost(const std::string& how) {
    const std::lock_guard lock(mutex_);
    lost_ = true;
    losses_ += how + "\n";
  }

  const std::uint16_t port_;
  const bool kept_;
  std::atomic<bool> ending_{false};
  std::atomic<bool> lost_{false};
  std::atomic<int> done_{0};
  std::atomic<int> next_{0};
  std::mutex mutex_;
  std::string losses_;
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("five upgrades in a row under load: no TCP connection is lost") {
  App app(echo);
  Platform platform;
  platform.serve(1, {tcp_to(platform.first, app)});
  REQUIRE(platform.becomes(platform.first, "open"));
  Load brief(platform.first, 4, false);
  Load kept(platform.first, 3, true);
  bool served = brief.does(300) && kept.does(300);
  for (int upgrade = 1; upgrade <= 5 && served; ++upgrade) {
    platform.daemon.signal(SIGHUP);
    served = eventually([&] { return platform.daemon.said("proxy is up") == upgrade + 1; }, 60s) &&
             platform.becomes(platform.first, "open") && brief.does(600) && kept.does(600);
  }
  brief.end();
  kept.end();
  std::cout << "upgrades: 5, lines over short and over kept TCP connections: " << brief.done()
            << " " << kept.done() << std::endl;
  INFO(brief.losses() << kept.losses() << platform.daemon.log());
  CHECK(brief.losses().empty());
  CHECK(kept.losses().empty());
  REQUIRE(served);
  // The old ones end when their last connection has.
  CHECK(eventually([&] { return platform.daemon.said("serving process ended") == 5; }, 60s));
  CHECK(platform.daemon.said(" code=0") == 5);
  CHECK(platform.daemon.end(SIGTERM) == 0);
  CHECK(is_free(platform.first));
}

TEST_CASE("datagrams go on through an upgrade and a death, and to the same instance") {
  const test::DatagramApp blue("blue");
  const test::DatagramApp green("green");
  Platform platform;
  const auto port = platform.first;
  platform.serve(1, {{port, "app_udp", {{"blue", blue.address()}, {"green", green.address()}}}});
  REQUIRE(platform.becomes(port, "open"));
  const std::vector<test::DatagramSocket> clients(8);
  // Who asks by datagrams asks again: one that comes while a process dies may be lost.
  auto answer_to = [&](const test::DatagramSocket& client, const std::string& datagram) {
    for (int tries = 0; tries < 100; ++tries) {
      REQUIRE(client.send(port, datagram));
      for (auto got = client.receive(300ms); got; got = client.receive(300ms))
        if (got->first.ends_with(":" + datagram)) return got->first.substr(0, got->first.find(':'));
    }
    return std::string("nothing");
  };
  std::vector<std::string> first;
  for (const auto& client : clients) first.push_back(answer_to(client, "before"));
  CHECK(std::ranges::count(first, "nothing") == 0);
  platform.daemon.signal(SIGHUP);
  REQUIRE(eventually([&] { return platform.daemon.said("proxy is up") == 2; }, 60s));
  for (std::size_t i = 0; i < clients.size(); ++i)
    CHECK(answer_to(clients[i], "after the upgrade") == first[i]);
  // The old process ends with its senders, who are silent there.
  CHECK(eventually([&] { return platform.daemon.said("serving process ended") == 1; }, 60s));
  kill(newest_process(platform.daemon), SIGKILL);
  REQUIRE(eventually([&] { return platform.daemon.said("proxy is up") == 3; }, 60s));
  for (std::size_t i = 0; i < clients.size(); ++i)
    CHECK(answer_to(clients[i], "after the death") == first[i]);
  CHECK(platform.daemon.end(SIGTERM) == 0);
}

TEST_CASE("who connects while the serving process is dead is served by the next one") {
  App app(echo);
  Platform platform;
  platform.serve(1, {tcp_to(platform.first, app)});
  REQUIRE(platform.becomes(platform.first, "open"));
  for (int death = 1; death <= 3; ++death) {
    kill(newest_process(platform.daemon), SIGKILL);
    auto client = Peer::connect(platform.first);
    client.send("still there?\n");
    CHECK(client.read_until("\n", 30s) == "still there?\n");
    REQUIRE(eventually([&] { return platform.daemon.said("proxy is up") == death + 1; }, 30s));
  }
}

TEST_CASE("a port that somebody else has keeps nobody from the others, and is tried again") {
  App app(echo);
  Platform platform;
  const auto taken = platform.first;
  const auto open = static_cast<std::uint16_t>(platform.first + 1);
  const auto outside = static_cast<std::uint16_t>(platform.first + ports_wanted);
  // Who would share it, too.
  auto other = open_listeners({"127.0.0.1", taken}, 1, true, "test");
  REQUIRE(other);
  platform.serve(1, {tcp_to(taken, app), tcp_to(open, app), tcp_to(outside, app)});
  REQUIRE(platform.becomes(open, "open"));
  REQUIRE(platform.becomes(taken, "Address already in use"));
  CHECK(platform.state_of(outside) == "it is not among those of setting tcp.ports");
  auto client = Peer::connect(open);
  client.send("hello\n");
  CHECK(client.read_until("\n") == "hello\n");
  other->clear();
  REQUIRE(platform.becomes(taken, "open"));
  CHECK(platform.daemon.said("the port of a TCP service is open now") == 1);
  auto late = Peer::connect(taken);
  late.send("hello\n");
  CHECK(late.read_until("\n") == "hello\n");
}

TEST_CASE("a port whose route goes is given back, and its sockets outlive no upgrade") {
  App app(echo);
  Platform platform;
  const auto second = static_cast<std::uint16_t>(platform.first + 1);
  platform.serve(1, {tcp_to(platform.first, app), tcp_to(second, app)});
  REQUIRE(platform.becomes(second, "open"));
  wire::RouteUpdate update{1, 2, {}, {}};
  update.tcp_removes = {platform.first};
  platform.scheduler.answers_with({2, {}, 0, {tcp_to(second, app)}});
  platform.scheduler.send(update);
  REQUIRE(eventually([&] { return is_free(platform.first); }));
  platform.daemon.signal(SIGHUP);
  REQUIRE(eventually([&] { return platform.daemon.said("serving process ended") == 1; }, 60s));
  REQUIRE(platform.becomes(second, "open"));
  CHECK(is_free(platform.first));
  update = {2, 3, {}, {}};
  update.tcp_removes = {second};
  update.tcp_upserts = {tcp_to(platform.first, app)};
  platform.scheduler.answers_with({3, {}, 0, update.tcp_upserts});
  platform.scheduler.send(update);
  REQUIRE(platform.becomes(platform.first, "open"));
  CHECK(eventually([&] { return is_free(second); }));
  auto client = Peer::connect(platform.first);
  client.send("hello\n");
  CHECK(client.read_until("\n") == "hello\n");
}

TEST_CASE("a proxy that stops gives TCP connections the time to drain, then resets them") {
  App app(echo);
  Platform platform;
  platform.serve(1, {tcp_to(platform.first, app)});
  REQUIRE(platform.becomes(platform.first, "open"));
  auto ends = Peer::connect(platform.first);
  ends.send("hello\n");
  REQUIRE(ends.read_until("\n") == "hello\n");
  platform.daemon.signal(SIGTERM);
  REQUIRE(eventually([&] { return is_free(platform.first); }));
  ends.send("goes on\n");
  CHECK(ends.read_until("\n") == "goes on\n");
  ends.shutdown_send();
  CHECK(ends.closed_by_peer());
  CHECK(platform.daemon.end(0) == 0);
}
