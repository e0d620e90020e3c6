// What proxies tell of traffic, in a real PostgreSQL: last requests, of which time all is known,
// the last minute of instances, and the sleep that follows from it.
#include "on_sql.hpp"

using namespace karreg;
using namespace karreg::scheduler;
using namespace karreg::scheduler::test_on_sql;
using namespace std::chrono_literals;

namespace {
/// A report of all that proxy-1 was asked, of the moment @p at_ms of its process.
wire::TrafficReport of_all(std::int64_t at_ms, std::int64_t covers_ms) {
  wire::TrafficReport said;
  said.proxy_id = "proxy-1";
  said.process = "process-1";
  said.number = static_cast<std::uint64_t>(at_ms / 1000);
  said.at_ms = at_ms;
  said.parts = 1;
  said.covers_ms = covers_ms;
  return said;
}

bool hear(OnSql& p, const wire::TrafficReport& report) {
  bool held = false;
  p.in_transaction([&](pqxx::work& work) { held = save_traffic_report(work, report); });
  return held;
}

/// All that the database knows of traffic was known so much earlier.
void time_passes(OnSql& p, const std::string& interval) {
  p.database.query("UPDATE app_traffic SET last_request = last_request - interval '" + interval +
                   "'; UPDATE proxy_traffic SET covered_since = covered_since - interval '" +
                   interval + "', covered_until = covered_until - interval '" + interval +
                   "'; UPDATE instance_traffic SET at = at - interval '" + interval +
                   "'; UPDATE deployments SET ended_at = ended_at - interval '" + interval +
                   "'; UPDATE apps SET sleep_since = sleep_since - interval '" + interval + "'");
}
}  // namespace

TEST_CASE("the last request of an application is remembered, and never goes back") {
  OnSql p;
  p.app("app_1");
  auto said = of_all(10'000, 10'000);
  said.apps = {{"app_1", 3000, 1, 0}, {"app_of_nobody", 0, 0, 0}};
  CHECK_FALSE(hear(p, said));
  const auto first = p.load().apps.at("app_1").last_request;
  REQUIRE(first);
  Time now{};
  p.in_transaction([&](pqxx::work& work) { now = database_time(work); });
  CHECK(now - *first >= 3s);
  CHECK(now - *first < 10s);
  said.apps = {{"app_1", 60'000, 0, 0}};
  CHECK_FALSE(hear(p, said));
  CHECK(p.load().apps.at("app_1").last_request == first);
  // A call: requests are held.
  wire::TrafficReport call;
  call.proxy_id = "proxy-1";
  call.apps = {{"app_1", 0, 0, 2}};
  CHECK(hear(p, call));
  CHECK(p.load().apps.at("app_1").last_request > first);
}

TEST_CASE("what proxies were asked is known without a gap, or from the gap on") {
  OnSql p;
  p.app("app_1");
  p.report(p.host_report());
  p.report(wire::ProxyReport{"proxy-1", 0, false, {}, false});
  const auto covered = [&] {
    const auto world = p.load();
    const auto& proxy = world.proxies.at("proxy-1");
    return proxy.covered_since ? std::optional(proxy.covered_until - *proxy.covered_since)
                               : std::nullopt;
  };
  CHECK_FALSE(covered());
  static_cast<void>(hear(p, of_all(5'000, 5'000)));
  CHECK(covered() == 5s);
  // The next one was lost, the one after it was not; the scheduler was away meanwhile.
  time_passes(p, "1 hour");
  static_cast<void>(hear(p, of_all(15'000, 10'000)));
  CHECK(covered() > 1h);

  SECTION("a report in parts counts when all are there, in whichever order and how often") {
    time_passes(p, "1 hour");
    auto part = of_all(20'000, 10'000);
    part.parts = 2;
    part.part = 1;
    static_cast<void>(hear(p, part));
    static_cast<void>(hear(p, part));
    CHECK(covered() < 2h);
    part.part = 0;
    static_cast<void>(hear(p, part));
    CHECK(covered() > 2h);
    // An older one that comes late changes nothing.
    static_cast<void>(hear(p, of_all(15'000, 10'000)));
    static_cast<void>(hear(p, of_all(25'000, 10'000)));
    CHECK(covered() > 2h);
  }
  SECTION("two reports were lost") {
    static_cast<void>(hear(p, of_all(30'000, 10'000)));
    CHECK(covered() == 10s);
  }
  SECTION("too many applications were asked to be named") {
    time_passes(p, "1 hour");
    static_cast<void>(hear(p, of_all(20'000, 0)));
    CHECK(covered() < 2h);
    static_cast<void>(hear(p, of_all(25'000, 5'000)));
    CHECK(covered() == 5s);
  }
  SECTION("another process goes on where the last one ended") {
    time_passes(p, "3 seconds");
    auto next = of_all(60'000, 60'000);
    next.process = "process-2";
    static_cast<void>(hear(p, next));
    CHECK(covered() > 1h);
  }
  SECTION("another process began later") {
    time_passes(p, "10 seconds");
    auto next = of_all(5'000, 5'000);
    next.process = "process-2";
    static_cast<void>(hear(p, next));
    CHECK(covered() == 5s);
  }
  SECTION("a proxy that is gone is nobody whose figures are waited for") {
    p.report(wire::ProxyReport{"proxy-1", 0, false, {}, true});
    CHECK(p.database.value("SELECT count(*) FROM proxy_traffic") == "0");
  }
}

TEST_CASE("a report that comes late tells of the time it was made, not of that at which it comes") {
  OnSql p;
  p.app("app_1");
  p.report(p.host_report());
  p.report(wire::ProxyReport{"proxy-1", 0, false, {}, false});
  static_cast<void>(hear(p, of_all(5'000, 5'000)));
  // The next one was made five seconds later, and waited for a broker.
  time_passes(p, "40 minutes");
  p.database.query("UPDATE proxy_traffic SET began = began - interval '40 minutes'");
  auto late = of_all(10'000, 10'000);
  late.apps = {{"app_1", 0, 1, 0}};
  static_cast<void>(hear(p, late));
  Time now{};
  p.in_transaction([&](pqxx::work& work) { now = database_time(work); });
  const auto world = p.load();
  CHECK(now - world.proxies.at("proxy-1").covered_until > 39min);
  CHECK(now - *world.apps.at("app_1").last_request > 39min);
  // One that comes as it is made tells of now.
  static_cast<void>(hear(p, of_all(40 * 60'000 + 5'000, 40 * 60'000)));
  CHECK(now - p.load().proxies.at("proxy-1").covered_until < 10s);
}

TEST_CASE("an application sleeps and wakes by what proxies tell, all of it in the database") {
  OnSql p;
  const auto deployment = p.serve("app_1");
  p.database.query("UPDATE apps SET sleep_after_s = 600");
  static_cast<void>(hear(p, of_all(5'000, 5'000)));
  time_passes(p, "9 minutes");
  p.settle();
  CHECK(p.load().apps.at("app_1").sleep == Sleep::awake);
  time_passes(p, "1 minute");
  static_cast<void>(hear(p, of_all(10'000, 10'000)));
  p.settle();
  REQUIRE(p.load().apps.at("app_1").sleep == Sleep::asleep);
  CHECK(p.load().routes.begin()->second.asleep);
  const auto told = [&](const std::string& key, const std::string& words) {
    return p.database.value("SELECT count(*) FROM outbox WHERE routing_key = '" + key +
                            "' AND body LIKE '%" + words + "%'") != "0";
  };
  CHECK(told("proxy.routes", "\"asleep\":true"));
  CHECK(told("logs.app_1", "goes to sleep"));
  CHECK(told("api.event", "APPLICATION_CHANGE"));
  // A proxy that asks for the whole is told, too.
  p.report(wire::ProxyReport{"proxy-1", 0, true, {}, false});
  CHECK(told("proxy.proxy-1.snapshot", "\"asleep\":true"));
  p.proxy_acknowledges();
  p.agent_converges();
  CHECK(p.database.value("SELECT count(*) FROM instances WHERE ended_at IS NULL") == "0");

  time_passes(p, "1 second");
  wire::TrafficReport call;
  call.proxy_id = "proxy-1";
  call.apps = {{"app_1", 0, 0, 1}};
  REQUIRE(hear(p, call));
  p.settle();
  CHECK(p.load().apps.at("app_1").sleep == Sleep::waking);
  CHECK(p.database.value("SELECT string_agg(DISTINCT deployment, ',') FROM instances WHERE "
                         "ended_at IS NULL") == deployment);
  p.agent_converges();
  CHECK(p.load().apps.at("app_1").sleep == Sleep::awake);
  CHECK(p.load().routes.begin()->second.backends.size() == 2);
  CHECK_FALSE(p.load().routes.begin()->second.asleep);
}

TEST_CASE("the last minute of an instance adds up what all processes of all proxies count") {
  OnSql p;
  p.serve("app_1");
  const auto id = p.load().instances.begin()->first;
  const auto counts = [&](const std::string& proxy, const std::string& process,
                          std::uint64_t requests, std::uint64_t failures) {
    auto said = of_all(5'000, 5'000);
    said.proxy_id = proxy;
    said.process = process;
    said.instances = {{id, requests, failures, requests * 20'000, {requests}, 1},
                      {"vm-of-nobody", 1, 0, 0, {}, 0}};
    static_cast<void>(hear(p, said));
  };
  const auto last_minute = [&] {
    return p.database.value(
        "SELECT requests || ' ' || failures || ' ' || mean_ms || ' ' || in_hand "
        "FROM instance_last_minute");
  };
  counts("proxy-1", "a", 100, 3);
  CHECK(last_minute() == "100 3 20 1");
  time_passes(p, "50 seconds");
  counts("proxy-1", "a", 110, 4);
  CHECK(last_minute() == "110 4 20 1");
  time_passes(p, "20 seconds");
  counts("proxy-1", "a", 115, 4);
  counts("proxy-2", "b", 7, 0);
  CHECK(last_minute() == "22 1 20 2");
  // The proxy was started again, and has been asked more often by now.
  time_passes(p, "40 seconds");
  counts("proxy-1", "c", 200, 0);
  CHECK(last_minute() == "212 0 20 1");
  // Nobody asked for a while; what is old is dropped but for what the next one is compared with.
  time_passes(p, "10 minutes");
  CHECK(last_minute().empty());
  counts("proxy-1", "c", 203, 1);
  CHECK(last_minute() == "3 1 20 1");
  CHECK(p.database.value("SELECT count(*) FROM instance_traffic WHERE proxy_id = 'proxy-1'") ==
        "2");
  // With the instance all of it goes.
  time_passes(p, "3 minutes");
  p.database.query("UPDATE instances SET ended_at = now(), wanted = false, unwanted_at = now()");
  p.in_transaction([](pqxx::work& work) { forget_old_traffic(work); });
  CHECK(p.database.value("SELECT count(*) FROM instance_traffic") == "0");
}
