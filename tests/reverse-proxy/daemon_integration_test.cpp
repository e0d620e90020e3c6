// karreg-proxy as a process, with a real broker; the test plays the scheduler, the applications and
// the visitors.
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <nlohmann/json.hpp>

#include "common/broker/consumer.hpp"
#include "common/broker/publisher.hpp"
#include "common/ids.hpp"
#include "common/wire/json.hpp"
#include "reverse-proxy/loopback.hpp"
#include "support/programs.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::proxy::testing;

namespace {

/// The scheduler's ear and mouth.
class Scheduler {
 public:
  Scheduler(const broker::Address& address, std::string proxy_id)
      : proxy_id_(std::move(proxy_id)),
        publisher_(address),
        consumer_(
            address, {"test." + proxy_id_, false, true, false, std::nullopt, {"scheduler.proxy"}},
            [this](const broker::Delivery& delivery) { return take(delivery); },
            [this] { ready_ = true; }) {
    REQUIRE(eventually([this] { return ready_.load(); }));
  }
  /// Answers each report that asks, as the real one does (the first may come before the proxy's
  /// queue is there), until one says that @p snapshot is used.
  bool gives(const wire::RouteSnapshot& snapshot) {
    wire::ProxyReport last;
    auto news = [&](const wire::ProxyReport& r) {
      last = r;
      return r.wants_snapshot || r.version == snapshot.version;
    };
    for (int tries = 0; tries < 10 && hears(news); ++tries) {
      if (!last.wants_snapshot) return true;
      send(snapshot);
    }
    return false;
  }
  void send(const wire::RouteSnapshot& snapshot) {
    tell(broker::key::proxy_snapshot(proxy_id_), wire::to_text(snapshot));
  }
  void send(const wire::RouteUpdate& update) {
    tell(broker::key::proxy_routes, wire::to_text(update));
  }
  void tell(const std::string& key, const std::string& body) {
    const auto told = publisher_.publish_and_wait(key, body, 10s);
    INFO((told ? "" : told.error().message()));
    REQUIRE(told);
  }
  /// Waits for a report for which @p holds, after those that were asked for before.
  bool hears(const std::function<bool(const wire::ProxyReport&)>& holds,
             std::chrono::milliseconds patience = 10s) {
    return eventually(
        [&] {
          const std::lock_guard lock(mutex_);
          const auto found = std::ranges::find_if(reports_, holds);
          if (found == reports_.end()) return false;
          reports_.erase(reports_.begin(), std::next(found));
          return true;
        },
        patience);
  }

 private:
  broker::Disposition take(const broker::Delivery& delivery) {
    auto report = wire::from_text<wire::ProxyReport>(delivery.body, "ProxyReport");
    const std::lock_guard lock(mutex_);
    if (report && report->proxy_id == proxy_id_) reports_.push_back(*report);
    return broker::Disposition::ack;
  }

  std::string proxy_id_;
  std::mutex mutex_;
  std::vector<wire::ProxyReport> reports_;
  std::atomic<bool> ready_{false};
  broker::Publisher publisher_;
  broker::Consumer consumer_;
};

broker::Address test_broker() {
  const char* url = std::getenv("KARREG_TEST_BROKER");
  if (url == nullptr)
    FAIL("KARREG_TEST_BROKER is not set: run this test through `./dev test integration`");
  const auto address = broker::parse_address(url);
  REQUIRE(address);
  return *address;
}

/// A running karreg-proxy.
class Daemon {
 public:
  Daemon(const test::ScratchFolder& data, const std::string& id, const broker::Address& broker) {
    const std::vector<std::string> variables = {
        "KARREG_DATA_DIR=" + data.path().string(),
        "KARREG_PROXY_ID=" + id,
        "KARREG_PROXY_LISTEN=127.0.0.1:0",
        "KARREG_PROXY_ADMIN_LISTEN=127.0.0.1:0",
        "KARREG_PROXY_WORKERS=2",
        "KARREG_PROXY_DRAIN_TIMEOUT=10s",
        "KARREG_BROKER_HOST=" + broker.host,
        "KARREG_BROKER_PORT=" + std::to_string(broker.port),
        "KARREG_BROKER_USER=" + broker.user,
        "KARREG_BROKER_PASSWORD=" + broker.password,
        "KARREG_BROKER_VHOST=" + broker.vhost,
    };
    std::vector<std::string> kept = variables;
    std::vector<char*> environment;
    for (auto& variable : kept) environment.push_back(variable.data());
    environment.push_back(nullptr);
    std::string program = test::program("karreg-proxy");
    std::vector<char*> argv = {program.data(), nullptr};
    log_ = data / "proxy.log";
    std::filesystem::remove(log_);
    const std::string log = log_.string();
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      if (std::freopen(log.c_str(), "a", stderr) == nullptr ||
          std::freopen((log + ".access").c_str(), "a", stdout) == nullptr)
        _exit(126);
      execve(program.c_str(), argv.data(), environment.data());
      _exit(127);
    }
    REQUIRE(eventually([&] { return number_after("admin_port=") != 0; }));
    port_ = number_after(" port=");
    admin_port_ = number_after("admin_port=");
  }
  ~Daemon() { end(SIGKILL); }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  void signal(int number) const { kill(pid_, number); }
  /// Sends @p number and gives the exit code.
  int end(int number) {
    if (pid_ <= 0) return -1;
    if (number != 0) kill(pid_, number);
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  Peer client() const { return Peer::connect(port_); }
  Peer admin() const { return Peer::connect(admin_port_); }
  std::string get() const {
    auto peer = client();
    peer.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    return peer.read_message();
  }
  bool is_stopping() const {
    auto peer = admin();
    peer.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    return status_of(peer.read_message()) == "503";
  }
  std::string log() const { return std::filesystem::exists(log_) ? test::read_file(log_) : ""; }

 private:
  std::uint16_t number_after(const std::string& mark) const {
    const auto text = log();
    const auto up = text.find("proxy is up");
    const auto at = up == std::string::npos ? up : text.find(mark, up);
    // The whole line must be there.
    if (at == std::string::npos || text.find('\n', at) == std::string::npos) return 0;
    return static_cast<std::uint16_t>(std::stoi(text.substr(at + mark.size())));
  }

  std::filesystem::path log_;
  pid_t pid_ = 0;
  std::uint16_t port_ = 0;
  std::uint16_t admin_port_ = 0;
};

wire::Route route_to(const App& app) {
  return Loopback::a_route("a.test", {&app});
}

/// Answers each request when it is told to.
struct SlowApp {
  std::atomic<int> requests{0};
  std::atomic<bool> answer{false};
  App app{[this](Peer& peer, int) {
    while (!peer.read_message().empty()) {
      ++requests;
      (void)eventually([&] { return answer.load(); });
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    }
  }};
};

}  // namespace

TEST_CASE(
    "a proxy follows the scheduler: snapshot, delta, drain, and the whole again when it is lost") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  SlowApp blue;
  App green(App::hello("green"));
  Daemon daemon(data, id, broker);

  CHECK_THAT(daemon.get(),
             Catch::StartsWith("HTTP/1.1 503 ") && Catch::Contains("has just started"));
  REQUIRE(scheduler.gives(wire::RouteSnapshot{3, {route_to(blue.app)}}));

  auto visitor = daemon.client();
  visitor.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return blue.requests == 1; }));
  scheduler.send(wire::RouteUpdate{3, 4, {route_to(green)}, {}});
  const std::map<std::string, int> one_left{{"vm-" + blue.app.address(), 1}};
  REQUIRE(scheduler.hears([&](const auto& r) { return r.version == 4 && r.draining == one_left; }));
  CHECK(body_of(daemon.get()) == "green");
  blue.answer = true;
  CHECK(body_of(visitor.read_message()) == "slow");
  // Sooner than the regular report.
  CHECK(scheduler.hears([](const auto& r) { return r.version == 4 && r.draining.empty(); }, 1s));
  CHECK(blue.requests == 1);

  scheduler.send(wire::RouteUpdate{8, 9, {}, {{"a.test", "/"}}});
  REQUIRE(scheduler.hears([](const auto& r) { return r.version == 4 && r.wants_snapshot; }));
  CHECK(body_of(daemon.get()) == "green");
  scheduler.send(wire::RouteSnapshot{9, {}});
  REQUIRE(scheduler.hears([](const auto& r) { return r.version == 9 && !r.wants_snapshot; }));
  CHECK(status_of(daemon.get()) == "404");

  scheduler.tell(broker::key::proxy_snapshot(id), "{nonsense");
  CHECK(eventually(
      [&] { return daemon.log().find("RouteSnapshot is not valid JSON") != std::string::npos; }));
  // It reports regularly.
  CHECK(scheduler.hears([](const auto& r) { return r.version == 9; }, 5s));
  CHECK(scheduler.hears([](const auto& r) { return r.version == 9; }, 5s));
}

TEST_CASE("a proxy that was killed serves again at once, without a broker") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  App app(App::hello("here"));
  {
    Daemon daemon(data, id, broker);
    REQUIRE(scheduler.gives(wire::RouteSnapshot{3, {route_to(app)}}));
    CHECK(std::filesystem::exists(data / ("proxy/" + id + ".json")));
    CHECK(daemon.end(SIGKILL) == 128 + SIGKILL);
  }
  auto nobody = broker;
  nobody.port = 1;
  {
    Daemon daemon(data, id, nobody);
    CHECK(body_of(daemon.get()) == "here");
    CHECK(daemon.end(SIGTERM) == 0);
  }
  Daemon daemon(data, id, broker);
  CHECK(body_of(daemon.get()) == "here");
  REQUIRE(scheduler.hears([](const auto& r) { return r.version == 3 && r.wants_snapshot; }));
}

TEST_CASE("a proxy that is killed right after an acknowledgement knows what it acknowledged") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  auto blue = std::make_unique<App>(App::hello("blue"));
  App green(App::hello("green"));
  {
    Daemon daemon(data, id, broker);
    REQUIRE(scheduler.gives(wire::RouteSnapshot{3, {route_to(*blue)}, 0}));
    scheduler.send(wire::RouteUpdate{3, 4, {route_to(green)}, {}});
    REQUIRE(scheduler.hears([](const auto& r) { return r.version == 4; }));
    CHECK(daemon.end(SIGKILL) == 128 + SIGKILL);
  }
  // What the scheduler does with the acknowledgement.
  blue->stop();
  auto nobody = broker;
  nobody.port = 1;
  Daemon daemon(data, id, nobody);
  CHECK(body_of(daemon.get()) == "green");
}

TEST_CASE("a table that cannot be saved is used and acknowledged all the same") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  App app(App::hello("here"));
  // Not even root can make a file in what is no folder.
  test::write_file(data / "proxy", "");
  Daemon daemon(data, id, broker);
  REQUIRE(scheduler.gives(wire::RouteSnapshot{1, {route_to(app)}, 0}));
  for (std::uint64_t version = 2; version < 5; ++version) {
    scheduler.send(wire::RouteSnapshot{version, {route_to(app)}, 0});
    REQUIRE(scheduler.hears([&](const auto& r) { return r.version == version; }));
  }
  CHECK(body_of(daemon.get()) == "here");
  const auto log = daemon.log();
  const auto first = log.find("routes not saved");
  CHECK(first != std::string::npos);
  // One line, not one per table.
  CHECK(log.find("routes not saved", first + 1) == std::string::npos);
  std::filesystem::remove(data / "proxy");
  CHECK(
      eventually([&] { return daemon.log().find("routes are saved again") != std::string::npos; }));
  CHECK(daemon.end(SIGTERM) == 0);
}

TEST_CASE("SIGTERM drains: the request in hand is answered, then the scheduler knows") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  SlowApp app;
  Daemon daemon(data, id, broker);
  REQUIRE(scheduler.gives(wire::RouteSnapshot{1, {route_to(app.app)}}));
  auto visitor = daemon.client();
  visitor.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return app.requests == 1; }));
  daemon.signal(SIGTERM);
  REQUIRE(eventually([&] { return daemon.is_stopping(); }));
  // The routes go on: what is in hand at an instance that leaves them keeps it alive.
  App green(App::hello("green"));
  scheduler.send(wire::RouteUpdate{1, 2, {route_to(green)}, {}});
  const std::map<std::string, int> one_left{{"vm-" + app.app.address(), 1}};
  bool gone_too_early = false;
  REQUIRE(scheduler.hears([&](const auto& r) {
    gone_too_early = gone_too_early || r.stopping;
    return r.version == 2 && r.draining == one_left;
  }));
  CHECK_FALSE(gone_too_early);
  app.answer = true;
  const auto answer = visitor.read_message();
  CHECK(body_of(answer) == "slow");
  CHECK_THAT(answer, Catch::Contains("\r\nConnection: close\r\n"));
  visitor.close();
  CHECK(daemon.end(0) == 0);
  // The goodbye is the last word.
  CHECK(scheduler.hears([](const auto& r) { return r.stopping; }));
  CHECK_FALSE(scheduler.hears([](const auto&) { return true; }, 500ms));
  CHECK_THAT(daemon.log(), Catch::Contains("drained"));
  const auto line = nlohmann::json::parse(test::read_file(data / "proxy.log.access"));
  CHECK(line["status"] == 200);
}

TEST_CASE("a second signal does not wait for the request in hand") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  SlowApp app;
  Daemon daemon(data, id, broker);
  REQUIRE(scheduler.gives(wire::RouteSnapshot{1, {route_to(app.app)}}));
  auto visitor = daemon.client();
  visitor.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return app.requests == 1; }));
  daemon.signal(SIGTERM);
  REQUIRE(eventually([&] { return daemon.is_stopping(); }));
  const auto begun = std::chrono::steady_clock::now();
  CHECK(daemon.end(SIGTERM) == 0);
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
  CHECK(scheduler.hears([](const auto& r) { return r.stopping; }));
  CHECK_THAT(daemon.log(), Catch::Contains("drained, 1 requests cut"));
  const auto line = nlohmann::json::parse(test::read_file(data / "proxy.log.access"));
  CHECK(line["error"] == "cut: the proxy stopped");
  app.answer = true;
}

TEST_CASE("an address that is taken is an error that names the setting") {
  const test::ScratchFolder data;
  App taken([](Peer&, int) {});
  const auto ran = test::run(
      "KARREG_DATA_DIR=" + data.path().string() + " KARREG_PROXY_LISTEN=" + taken.address() +
      " KARREG_PROXY_ADMIN_LISTEN=127.0.0.1:0 " + test::program("karreg-proxy"));
  CHECK(ran.exit_code == 9);
  CHECK_THAT(ran.output, Catch::Contains("setting proxy.listen: cannot listen on " +
                                         taken.address() + ": Address already in use"));
}
