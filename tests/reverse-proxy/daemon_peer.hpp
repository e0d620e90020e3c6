#pragma once
/// karreg-proxy as a process, with a real broker; a test plays the scheduler.

#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "common/broker/consumer.hpp"
#include "common/broker/publisher.hpp"
#include "common/ids.hpp"
#include "common/json.hpp"
#include "common/wire/json.hpp"
#include "reverse-proxy/loopback.hpp"
#include "support/programs.hpp"
#include "support/scratch.hpp"

namespace karreg::proxy::testing {

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
  /// Answers each process of the proxy that asks with @p snapshot from now on, as the real one
  /// does.
  void answers_with(wire::RouteSnapshot snapshot) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(snapshot);
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
    const bool ours = report && (report->proxy_id == proxy_id_ ||
                                 report->proxy_id.starts_with(proxy_id_ + "-leaving-"));
    if (!ours) return broker::Disposition::ack;
    reports_.push_back(*report);
    if (answer_ && report->wants_snapshot) {
      answer_->for_version = report->version;
      (void)publisher_.publish(broker::key::proxy_snapshot(report->proxy_id),
                               wire::to_text(*answer_));
    }
    return broker::Disposition::ack;
  }

  std::string proxy_id_;
  std::mutex mutex_;
  std::vector<wire::ProxyReport> reports_;
  std::optional<wire::RouteSnapshot> answer_;
  std::atomic<bool> ready_{false};
  broker::Publisher publisher_;
  broker::Consumer consumer_;
};

inline broker::Address test_broker() {
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
  Daemon(const test::ScratchFolder& data, const std::string& id, const broker::Address& broker,
         const std::vector<std::string>& more = {},
         const std::string& at = test::program("karreg-proxy")) {
    std::vector<std::string> variables = {
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
    variables.insert(variables.end(), more.begin(), more.end());
    std::vector<char*> environment;
    for (auto& variable : variables) environment.push_back(variable.data());
    environment.push_back(nullptr);
    std::string program = at;
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
    tls_port_ = number_after("tls_port=");
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
  std::uint16_t port() const { return port_; }
  std::uint16_t tls_port() const { return tls_port_; }
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
  /// How many lines of the log have @p words in them.
  int said(const std::string& words) const {
    const auto text = log();
    int count = 0;
    for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1))
      ++count;
    return count;
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
  std::uint16_t tls_port_ = 0;
  std::uint16_t admin_port_ = 0;
};

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

/// The pid of the serving process that the log named last.
inline pid_t newest_process(const Daemon& daemon) {
  const auto log = daemon.log();
  const std::string mark = " pid=";
  const auto at = log.rfind(mark, log.rfind("proxy is up"));
  return std::stoi(log.substr(at + mark.size()));
}

inline wire::Route route_to(const App& app) {
  return Loopback::a_route("a.test", {&app});
}

}  // namespace karreg::proxy::testing
