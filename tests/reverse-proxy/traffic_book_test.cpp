// What the scheduler is told of traffic: nothing is left out, whichever single report is lost.
#include "reverse-proxy/traffic_book.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace karreg;
using namespace karreg::proxy;
using namespace std::chrono_literals;

namespace {

const TrafficBook::Clock::time_point start{1h};

/// An instance of the app that its name begins with ("a-1" of "a").
ActiveBackend active(const std::string& id, int in_flight = 0) {
  return {id.substr(0, id.find('-')), id, in_flight};
}

std::set<std::string> apps_in(const std::vector<wire::TrafficReport>& reports) {
  std::set<std::string> names;
  for (const auto& report : reports)
    for (const auto& app : report.apps) names.insert(app.app_id);
  return names;
}

const wire::AppTraffic& app_in(const std::vector<wire::TrafficReport>& reports,
                               const std::string& id) {
  for (const auto& report : reports)
    for (const auto& app : report.apps)
      if (app.app_id == id) return app;
  throw std::runtime_error("no " + id);
}

}  // namespace

TEST_CASE("a report covers the time since the last but one that was confirmed") {
  TrafficBook book("process", start);
  book.see({{active("a-1")}, {}, {}}, start + 5s);
  auto told = book.report("proxy-1");
  REQUIRE(told.size() == 1);
  CHECK(told[0].parts == 1);
  CHECK(told[0].number == 1);
  CHECK(told[0].covers_ms == 5000);
  CHECK(app_in(told, "a").idle_ms == 0);

  // It was lost on its way: the next one says it again.
  book.see({{active("b-1", 2)}, {}, {{"c", 3}}}, start + 10s);
  told = book.report("proxy-1");
  CHECK(told[0].at_ms == 10'000);
  CHECK(told[0].covers_ms == 10'000);
  CHECK(apps_in(told) == std::set<std::string>{"a", "b", "c"});
  CHECK(app_in(told, "a").idle_ms == 5000);
  CHECK(app_in(told, "b").in_hand == 2);
  CHECK(app_in(told, "c").held == 3);
  book.confirmed();

  // Even a report that was confirmed may be dropped by a full queue: once more, then no more.
  book.see({}, start + 15s);
  told = book.report("proxy-1");
  CHECK(apps_in(told) == std::set<std::string>{"a", "b", "c"});
  CHECK(app_in(told, "b").in_hand == 0);
  book.confirmed();
  book.see({}, start + 20s);
  told = book.report("proxy-1");
  CHECK(told[0].covers_ms == 10'000);
  CHECK(told[0].apps.empty());
}

TEST_CASE("figures of instances go on from report to report, until nobody asks for an hour") {
  TrafficBook book("process", start);
  Traffic some;
  some.add({200, 3ms, 1, 0, 0});
  some.add({502, 40ms, 1, 0, 0});
  book.see({{active("a-1", 1)}, {{"a-1", some}}, {}}, start + 5s);
  book.confirmed();
  book.see({{active("a-1")}, {{"a-1", some}}, {}}, start + 10s);
  auto told = book.report("proxy-1");
  REQUIRE(told.at(0).instances.size() == 1);
  const auto& instance = told[0].instances[0];
  CHECK(instance.instance_id == "a-1");
  CHECK(instance.requests == 4);
  CHECK(instance.failures == 2);
  CHECK(instance.times_us == 86'000);
  CHECK(instance.times == std::vector<std::uint64_t>{0, 0, 2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0});
  CHECK(instance.in_hand == 0);
  for (int i = 0; i < 3; ++i) {
    book.confirmed();
    book.see({}, start + 20s + i * 1s);
  }
  CHECK(book.report("proxy-1")[0].instances.empty());
  book.see({}, start + 2h);
  book.see({{}, {{"a-1", some}}, {}}, start + 2h + 1s);
  CHECK(book.report("proxy-1")[0].instances.at(0).requests == 2);
}

TEST_CASE("a large report comes in parts, and one that is too large claims nothing of the rest") {
  TrafficBook book("process", start);
  TrafficBook::Look look;
  for (int i = 0; i < 700; ++i) look.active.push_back(active(std::to_string(i) + "-vm"));
  book.see(look, start + 5s);
  auto told = book.report("proxy-1");
  REQUIRE(told.size() == 3);
  std::size_t entries = 0;
  for (std::size_t i = 0; i < told.size(); ++i) {
    CHECK(told[i].part == static_cast<int>(i));
    CHECK(told[i].parts == 3);
    CHECK(told[i].covers_ms == 5000);
    CHECK(told[i].apps.size() + told[i].instances.size() <= wire::TrafficReport::most_entries);
    entries += told[i].apps.size() + told[i].instances.size();
  }
  CHECK(entries == 1400);
  CHECK(apps_in(told).size() == 700);

  for (int i = 0; i < 20'000; ++i) look.active.push_back(active(std::to_string(i) + "-other"));
  book.see(look, start + 10s);
  told = book.report("proxy-1");
  CHECK(told.size() == wire::TrafficReport::most_parts);
  CHECK(told.front().covers_ms == 0);
  CHECK(apps_in(told).size() == 20'000);
}

TEST_CASE("a call names those for whom requests are held, and claims nothing else") {
  const TrafficBook book("process", start);
  CHECK(book.call("proxy-1", {}).empty());
  const auto calls = book.call("proxy-1", {{"a", 3}});
  REQUIRE(calls.size() == 1);
  CHECK(calls[0].parts == 0);
  CHECK(calls[0].covers_ms == 0);
  CHECK(app_in(calls, "a").held == 3);
}
