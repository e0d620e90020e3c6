// What the scheduler hears of traffic from karreg-proxy as a process, over a real broker, and what
// becomes of requests for an application that sleeps.
#include "common/broker/topology.hpp"
#include "common/wire/traffic.hpp"
#include "reverse-proxy/daemon_peer.hpp"

using namespace karreg;
using namespace karreg::proxy::testing;

namespace {

/// Hears what one proxy, and the processes that leave it, tell of traffic.
class Ear {
 public:
  Ear(const broker::Address& address, std::string proxy_id)
      : proxy_id_(std::move(proxy_id)),
        consumer_(
            address,
            {"test.traffic." + proxy_id_, false, true, false, std::nullopt, {"scheduler.traffic"}},
            [this](const broker::Delivery& delivery) { return take(delivery); },
            [this] { ready_ = true; }) {
    REQUIRE(eventually([this] { return ready_.load(); }));
  }
  /// Waits for a report for which @p holds, after those that were asked for before.
  std::optional<wire::TrafficReport> hears(
      const std::function<bool(const wire::TrafficReport&)>& holds,
      std::chrono::milliseconds patience = 15s) {
    std::optional<wire::TrafficReport> found;
    (void)eventually(
        [&] {
          const std::lock_guard lock(mutex_);
          const auto at = std::ranges::find_if(reports_, holds);
          if (at == reports_.end()) return false;
          found = *at;
          reports_.erase(reports_.begin(), std::next(at));
          return true;
        },
        patience);
    return found;
  }

 private:
  broker::Disposition take(const broker::Delivery& delivery) {
    auto report = wire::from_text<wire::TrafficReport>(delivery.body, "TrafficReport");
    const std::lock_guard lock(mutex_);
    if (report && report->proxy_id.starts_with(proxy_id_)) reports_.push_back(*report);
    return broker::Disposition::ack;
  }

  const std::string proxy_id_;
  std::mutex mutex_;
  std::vector<wire::TrafficReport> reports_;
  std::atomic<bool> ready_{false};
  broker::Consumer consumer_;
};

wire::Route asleep() {
  auto route = Loopback::a_route("a.test", {});
  route.asleep = true;
  return route;
}

bool calls(const wire::TrafficReport& report) {
  return report.parts == 0 && report.apps.size() == 1 && report.apps[0].app_id == "app_a.test" &&
         report.apps[0].held > 0;
}

const std::string a_get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

}  // namespace

TEST_CASE("a proxy calls for who sleeps until he is awake, and tells what he was asked") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  Ear ear(broker, id);
  App app(App::hello("awake"));
  Daemon daemon(data, id, broker);
  REQUIRE(scheduler.gives(wire::RouteSnapshot{3, {asleep()}}));
  // Nothing was asked: that is told, too.
  const auto nothing = ear.hears([](const auto& r) { return r.parts == 1; });
  REQUIRE(nothing);
  CHECK(nothing->apps.empty());
  CHECK(nothing->covers_ms >= 4000);

  auto visitor = daemon.client();
  visitor.send(a_get);
  REQUIRE(ear.hears(calls, 2s));
  // The first call may be lost.
  REQUIRE(ear.hears(calls, 3s));
  scheduler.send(wire::RouteUpdate{3, 4, {route_to(app)}, {}});
  CHECK(body_of(visitor.read_message()) == "awake");

  const auto told = ear.hears([](const auto& r) { return r.parts == 1 && !r.instances.empty(); });
  REQUIRE(told);
  REQUIRE(told->apps.size() == 1);
  CHECK(told->apps[0].app_id == "app_a.test");
  CHECK(told->apps[0].held == 0);
  CHECK(told->instances.at(0).instance_id == "vm-" + app.address());
  CHECK(told->instances.at(0).requests == 1);
  CHECK(told->instances.at(0).failures == 0);
  CHECK_FALSE(ear.hears(calls, 1500ms));
  // The last of it, when it ends.
  visitor.send(a_get);
  CHECK(body_of(visitor.read_message()) == "awake");
  CHECK(daemon.end(SIGTERM) == 0);
  CHECK(ear.hears(
      [](const auto& r) { return !r.instances.empty() && r.instances[0].requests == 2; }));
}

TEST_CASE(
    "requests that are held outlive the upgrade of their proxy, and the next process goes on") {
  const test::ScratchFolder data;
  const auto id = "p-" + ids::uuid();
  const auto broker = test_broker();
  Scheduler scheduler(broker, id);
  Ear ear(broker, id);
  scheduler.answers_with(wire::RouteSnapshot{3, {asleep()}});
  Daemon daemon(data, id, broker);
  REQUIRE(scheduler.hears([](const auto& r) { return r.version == 3; }));
  auto visitor = daemon.client();
  visitor.send(a_get);
  const auto before = ear.hears(calls, 3s);
  REQUIRE(before);
  daemon.signal(SIGHUP);
  REQUIRE(eventually([&] { return daemon.said("leaving: another process serves") == 1; }, 20s));
  // Until it left, the old process has told all under the name of the proxy; the new one began to
  // count before that.
  const auto last = ear.hears([&](const auto& r) {
    return r.proxy_id == id && r.process == before->process && r.parts > 0;
  });
  REQUIRE(last);
  CHECK(ear.hears(
      [&](const auto& r) { return calls(r) && r.proxy_id.starts_with(id + "-leaving-"); }));
  auto other = daemon.client();
  other.send(a_get);
  const auto next = ear.hears([&](const auto& r) {
    return r.proxy_id == id && r.process != before->process && r.parts > 0;
  });
  REQUIRE(next);
  CHECK(next->at_ms == next->covers_ms);
  CHECK(next->apps.at(0).held == 1);

  App app(App::hello("awake"));
  scheduler.send(wire::RouteUpdate{3, 4, {route_to(app)}, {}});
  const auto answer = visitor.read_message();
  CHECK(body_of(answer) == "awake");
  CHECK_THAT(answer, Catch::Contains("\r\nConnection: close\r\n"));
  CHECK(body_of(other.read_message()) == "awake");
  CHECK(daemon.end(SIGTERM) == 0);
}
