// One serving process of karreg-proxy takes over from another: nothing is lost, whatever is in
// hand, and the scheduler always knows what is.
#include <iostream>

#include "reverse-proxy/daemon_peer.hpp"
#include "reverse-proxy/http2_peer.hpp"

using namespace karreg;
using namespace karreg::proxy::testing;

namespace {

/// Answers with the request's target; after an upgrade to WebSocket, with what comes.
void echo(Peer& peer, int) {
  for (;;) {
    const auto request = peer.read_message();
    if (request.empty()) return;
    if (request.find("\r\nUpgrade: websocket\r\n") != std::string::npos) break;
    const auto from = request.find(' ') + 1;
    const auto target = request.substr(from, request.find(' ', from) - from);
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(target.size()) + "\r\n\r\n" +
              target);
  }
  peer.send(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  for (;;) {
    const auto line = peer.read_until("\n", 60s);
    if (!line.ends_with("\n") || !peer.send(line)) return;
  }
}

/// What visitors of one protocol did, and what they lost.
class Load {
 public:
  Load(std::string protocol, int visitors, std::function<void(Load&, int)> visit)
      : protocol_(std::move(protocol)) {
    for (int nth = 0; nth < visitors; ++nth)
      threads_.emplace_back([this, nth, visit] {
        try {
          while (goes_on()) visit(*this, nth);
        } catch (const std::exception& e) {
          lost(e.what());
        }
      });
  }
  ~Load() { end(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  bool goes_on() const { return !ending_ && lost_ == 0; }
  int done() const { return done_; }
  void one_done() { ++done_; }
  void lost(const std::string& how) {
    const std::lock_guard lock(mutex_);
    ++lost_;
    how_ += protocol_ + ": " + how + "\n";
  }
  /// A text that no other request has.
  std::string next_path() { return "/" + protocol_ + "/" + std::to_string(next_++); }
  void end() {
    ending_ = true;
    for (auto& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  /// Waits until @p more requests than now are done, or one is lost.
  bool does(int more) {
    const int target = done_ + more;
    return eventually([&] { return done_ >= target || lost_ > 0; }, 600s) && lost_ == 0;
  }
  std::string losses() {
    const std::lock_guard lock(mutex_);
    return how_;
  }

 private:
  const std::string protocol_;
  std::atomic<bool> ending_{false};
  std::atomic<int> done_{0};
  std::atomic<int> lost_{0};
  std::atomic<int> next_{0};
  std::mutex mutex_;
  std::string how_;
  std::vector<std::thread> threads_;
};

/// One kept connection, for as long as the proxy keeps it.
void visit_by_http1(Load& load, std::uint16_t port) {
  auto peer = Peer::connect(port);
  while (load.goes_on()) {
    const auto path = load.next_path();
    if (!peer.send("GET " + path + " HTTP/1.1\r\nHost: a.test\r\n\r\n"))
      return load.lost("a request was not taken");
    const auto answer = peer.read_message();
    if (!peer.complete() || !answer.starts_with("HTTP/1.1 200 ") || !answer.ends_with(path))
      return load.lost("to " + path + " came: " + (answer.empty() ? "the end" : answer));
    load.one_done();
    if (answer.find("\r\nConnection: close\r\n") != std::string::npos) return;
  }
}

/// Eight requests at a time on one connection, until the proxy goes away.
void visit_by_http2(Load& load, std::uint16_t port) {
  Http2Peer peer(port);
  while (load.goes_on() && !peer.going_away()) {
    std::vector<std::pair<std::int32_t, std::string>> asked;
    for (int i = 0; i < 8; ++i) {
      const auto path = load.next_path();
      asked.emplace_back(peer.ask(Http2Peer::get(path)), path);
    }
    for (const auto& [id, path] : asked) {
      const auto& answer = peer.wait(id);
      if (!answer.closed || answer.error != 0 || answer.status() != "200" || answer.body != path)
        return load.lost("to " + path + " came: " + answer.status() + " " + answer.body +
                         (answer.closed ? " error " + std::to_string(answer.error) : " no end"));
      load.one_done();
    }
  }
}

/// Lines to and fro; every third visitor holds one connection through all upgrades.
void visit_by_websocket(Load& load, std::uint16_t port, int nth) {
  auto peer = Peer::connect(port);
  peer.send("GET " + load.next_path() +
            " HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  const auto head = peer.read_head();
  if (!head.starts_with("HTTP/1.1 101 ")) return load.lost("no WebSocket: " + head);
  for (int said = 0; load.goes_on() && (nth % 3 == 0 || said < 100); ++said) {
    const auto line = load.next_path() + "\n";
    if (!peer.send(line)) return load.lost("a message was not taken");
    const auto answer = peer.read_until("\n");
    if (answer != line) return load.lost("to " + line + " came: " + answer);
    load.one_done();
  }
}

/// Requests by each protocol for each upgrade.
int requests_wanted() {
  const char* wanted = std::getenv("KARREG_TEST_REQUESTS");
  return wanted == nullptr ? 2'000 : std::stoi(wanted);
}

std::vector<std::string> with_tls(const test::ScratchFolder& data) {
  std::filesystem::create_directory(data / "certificates");
  test::write_file(data / "certificates/default.pem", bundle({"a.test"}));
  return {"KARREG_PROXY_TLS_LISTEN=127.0.0.1:0",
          "KARREG_PROXY_CERTIFICATES=" + (data / "certificates").string()};
}

bool upgraded(const Daemon& daemon, int times) {
  return eventually([&] { return daemon.said("proxy is up") == times + 1; }, 60s);
}

}  // namespace

TEST_CASE("five upgrades in a row under load: no request of any protocol is lost") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  App app(echo);
  auto settings = with_tls(data);
  settings.emplace_back("KARREG_PROXY_ACCESS_LOG=off");
  Daemon daemon(data, id, broker, settings);
  REQUIRE(scheduler.gives(wire::RouteSnapshot{1, {route_to(app)}}));
  scheduler.answers_with(wire::RouteSnapshot{1, {route_to(app)}});

  const auto port = daemon.port();
  const auto tls_port = daemon.tls_port();
  Load http1("http1", 4, [&](Load& load, int) { visit_by_http1(load, port); });
  Load http2("http2", 2, [&](Load& load, int) { visit_by_http2(load, tls_port); });
  Load websocket("websocket", 3, [&](Load& load, int n) { visit_by_websocket(load, port, n); });
  const std::vector<Load*> loads{&http1, &http2, &websocket};
  auto each_does = [&](int requests) {
    return std::ranges::all_of(loads, [&](Load* load) { return load->does(requests); });
  };
  const int wanted = requests_wanted();
  bool served = each_does(wanted / 2);
  for (int upgrade = 1; upgrade <= 5 && served; ++upgrade) {
    daemon.signal(SIGHUP);
    served = upgraded(daemon, upgrade) && each_does(wanted);
  }
  std::string done;
  std::string losses;
  for (auto* load : loads) {
    load->end();
    done += std::to_string(load->done()) + " ";
    losses += load->losses();
  }
  std::cout << "upgrades: 5, requests by HTTP/1.1, HTTP/2 and messages by WebSocket: " << done
            << std::endl;
  INFO(losses << daemon.log());
  CHECK(losses.empty());
  REQUIRE(served);
  // The old ones end when their last visitor has left.
  CHECK(eventually([&] { return daemon.said("serving process ended") == 5; }, 60s));
  CHECK(daemon.said(" code=0") == 5);
  CHECK(daemon.end(SIGTERM) == 0);
}

TEST_CASE("an instance is protected by the process that leaves, too") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  SlowApp blue;
  App green(App::hello("green"));
  Daemon daemon(data, id, broker);
  REQUIRE(scheduler.gives(wire::RouteSnapshot{1, {route_to(blue.app)}}));
  auto visitor = daemon.client();
  visitor.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return blue.requests == 1; }));
  auto idle = daemon.client();

  scheduler.answers_with(wire::RouteSnapshot{1, {route_to(blue.app)}});
  daemon.signal(SIGHUP);
  auto leaves = [&](const wire::ProxyReport& r) { return r.proxy_id != id; };
  // It speaks for itself before the new one speaks for the proxy.
  bool spoke_too_early = false;
  REQUIRE(scheduler.hears([&](const auto& r) {
    spoke_too_early = spoke_too_early || r.wants_snapshot;
    return leaves(r) && r.version == 1;
  }));
  CHECK_FALSE(spoke_too_early);
  REQUIRE(upgraded(daemon, 1));
  CHECK(daemon.said("serving by the routes of the last run") == 1);

  REQUIRE(scheduler.hears([&](const auto& r) { return !leaves(r) && !r.wants_snapshot; }));
  REQUIRE(scheduler.hears([&](const auto& r) { return leaves(r) && !r.wants_snapshot; }));
  scheduler.send(wire::RouteUpdate{1, 2, {route_to(green)}, {}});
  const std::map<std::string, int> one_left{{"vm-" + blue.app.address(), 1}};
  CHECK(scheduler.hears(
      [&](const auto& r) { return leaves(r) && r.version == 2 && r.draining == one_left; }));
  CHECK(body_of(daemon.get()) == "green");

  // A connection of the old one that was idle gets its answer, from where the routes lead now.
  idle.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  const auto last = idle.read_message();
  CHECK(body_of(last) == "green");
  CHECK_THAT(last, Catch::Contains("\r\nConnection: close\r\n"));
  blue.answer = true;
  const auto answer = visitor.read_message();
  CHECK(body_of(answer) == "slow");
  CHECK_THAT(answer, Catch::Contains("\r\nConnection: close\r\n"));
  idle.close();
  visitor.close();
  CHECK(scheduler.hears([&](const auto& r) { return leaves(r) && r.stopping; }));
  CHECK(eventually([&] { return daemon.said("serving process ended") == 1; }));
  CHECK(body_of(daemon.get()) == "green");
  CHECK(daemon.end(SIGTERM) == 0);
}

TEST_CASE("a serving process that dies is replaced, and who connects meanwhile is answered") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  App app(App::hello("here"));
  Daemon daemon(data, id, broker);
  REQUIRE(scheduler.gives(wire::RouteSnapshot{1, {route_to(app)}}));
  REQUIRE(kill(newest_process(daemon), SIGKILL) == 0);
  for (int i = 0; i < 20; ++i) {
    // One that the dead process had accepted is lost with it.
    auto visitor = daemon.client();
    visitor.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    const auto answer = visitor.read_message();
    if (daemon.said("serving process ended") == 1) CHECK(body_of(answer) == "here");
  }
  CHECK(upgraded(daemon, 1));
  CHECK(daemon.said("code=137") == 1);
  CHECK(daemon.end(SIGTERM) == 0);
}

TEST_CASE("while the broker is away there is no upgrade, and the old process goes on") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  auto nobody = test_broker();
  nobody.port = 1;
  Daemon daemon(data, id, nobody);
  const auto process = newest_process(daemon);
  daemon.signal(SIGHUP);
  REQUIRE(eventually([&] { return daemon.said("the upgrade is given up") == 1; }, 30s));
  REQUIRE(eventually([&] { return daemon.said("serving process ended") == 1; }));
  CHECK(kill(process, 0) == 0);
  CHECK(status_of(daemon.get()) == "503");
  CHECK(daemon.end(SIGTERM) == 0);
}

TEST_CASE("a program that is not fit is not taken, one that is there later is") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  App app(App::hello("here"));
  const auto program = data / "karreg-proxy";
  std::filesystem::copy_file(test::program("karreg-proxy"), program);
  Daemon daemon(data, id, broker, {}, program.string());
  REQUIRE(scheduler.gives(wire::RouteSnapshot{1, {route_to(app)}}));

  std::filesystem::remove(program);
  daemon.signal(SIGHUP);
  REQUIRE(eventually([&] { return daemon.said("ended its check with 127") == 1; }));
  test::write_file(program, "#!/bin/sh\nexit 3\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  daemon.signal(SIGHUP);
  REQUIRE(eventually([&] { return daemon.said("ended its check with 3") == 1; }));
  CHECK(body_of(daemon.get()) == "here");

  std::filesystem::remove(program);
  std::filesystem::copy_file(test::program("karreg-proxy"), program);
  daemon.signal(SIGHUP);
  REQUIRE(upgraded(daemon, 1));
  CHECK(body_of(daemon.get()) == "here");
  CHECK(daemon.end(SIGTERM) == 0);
}

TEST_CASE("settings with an address that is taken cost nothing, and are used once it is free") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  App app(App::hello("here"));
  const auto program = data / "program";
  const auto settings = data / "settings.toml";
  test::write_file(settings, "");
  test::write_file(program, "#!/bin/sh\nexec " + test::program("karreg-proxy") + " --config " +
                                settings.string() + "\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const auto certificates = with_tls(data).back();
  Daemon daemon(data, id, broker, {certificates}, program.string());
  const wire::RouteSnapshot routes{1, {route_to(app)}};
  REQUIRE(scheduler.gives(routes));
  scheduler.answers_with(routes);

  auto taken = std::make_unique<App>(App::hello("somebody else"));
  test::write_file(settings, "[proxy]\ntls_listen = \"" + taken->address() + "\"\n");
  const auto first = newest_process(daemon);
  daemon.signal(SIGHUP);
  REQUIRE(eventually([&] { return daemon.said("the old one goes on") == 1; }));
  CHECK(daemon.said("setting proxy.tls_listen: cannot listen on " + taken->address()) == 1);
  CHECK(body_of(daemon.get()) == "here");

  // Who connects while nothing can be started waits in the sockets that there were.
  REQUIRE(kill(first, SIGKILL) == 0);
  REQUIRE(eventually([&] { return daemon.said("before it served") >= 2; }));
  auto waiting = daemon.client();
  waiting.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  taken.reset();
  CHECK(body_of(waiting.read_message()) == "here");
  CHECK(eventually([&] { return newest_process(daemon) != first; }));
  CHECK(daemon.end(SIGTERM) == 0);
}

TEST_CASE("the serving process is confined: another user, no more system calls than it needs") {
  if (geteuid() != 0) {
    WARN("skipped: only root becomes another user");
    return;
  }
  const test::ScratchFolder data;
  std::filesystem::permissions(data.path(), std::filesystem::perms(0755));
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  App app(App::hello("here"));
  Daemon daemon(data, id, broker, {"KARREG_PROXY_USER=nobody"});
  REQUIRE(scheduler.gives(wire::RouteSnapshot{1, {route_to(app)}}));
  CHECK(body_of(daemon.get()) == "here");
  const auto ctl = "KARREG_DATA_DIR=" + data.path().string() + " KARREG_PROXY_ID=" + id + " " +
                   test::program("karreg-proxy") + " ";
  CHECK_THAT(test::must_run(ctl + "ctl status"), Catch::Contains("\"version\": 1"));
  CHECK_THAT(test::must_run(ctl + "top --once --every 0.1"), Catch::Contains("app_a.test"));
  const auto status =
      test::read_file("/proc/" + std::to_string(newest_process(daemon)) + "/status");
  CHECK_THAT(status, !Catch::Contains("\nUid:\t0\t"));
  CHECK_THAT(status, Catch::Contains("\nNoNewPrivs:\t1\n"));
  CHECK_THAT(status, Catch::Contains("\nSeccomp:\t2\n"));
  // It can still take over, save its routes and end.
  scheduler.answers_with(wire::RouteSnapshot{1, {route_to(app)}});
  daemon.signal(SIGHUP);
  REQUIRE(upgraded(daemon, 1));
  CHECK(daemon.said("routes not saved") == 0);
  CHECK(daemon.said("serving by the routes of the last run") == 1);
  CHECK(daemon.end(SIGTERM) == 0);
}
