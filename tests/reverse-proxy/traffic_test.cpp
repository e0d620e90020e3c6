#include "reverse-proxy/traffic.hpp"

#include <catch2/catch.hpp>
#include <cmath>

#include "reverse-proxy/ctl/client.hpp"

using namespace karreg::proxy;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

json told(const Traffic& traffic) {
  return {{"answers", traffic.answers},   {"times", traffic.times},
          {"times_us", traffic.times_us}, {"retries", traffic.retries},
          {"bytes_in", traffic.bytes_in}, {"bytes_out", traffic.bytes_out}};
}

}  // namespace

TEST_CASE("traffic: requests by class of status and by time, and what came since") {
  Traffic traffic;
  CHECK(traffic.requests() == 0);
  CHECK(traffic.time_ms(0.5) == 0);
  for (int i = 0; i < 98; ++i) traffic.add({200, 900us, 1, 100, 1000});
  const auto before = traffic;
  traffic.add({503, 40ms, 3, 100, 10});
  traffic.add({499, 240s, 1, 100, 0});
  CHECK(traffic.requests() == 100);
  CHECK(traffic.answers == std::array<std::uint64_t, 6>{0, 0, 98, 0, 1, 1});
  CHECK(traffic.time_ms(0.5) == 1);
  CHECK(traffic.time_ms(0.99) == 50);
  CHECK(std::isinf(traffic.time_ms(1)));
  CHECK(traffic.retries == 2);
  CHECK(traffic.bytes_out == 98'010);
  const auto since = traffic.since(before);
  CHECK(since.requests() == 2);
  CHECK(since.bytes_in == 200);
  // A process that was started again counts from nothing.
  CHECK(before.since(traffic).requests() == 98);
  // Also one that was asked more often by now.
  Traffic anew;
  for (int i = 0; i < 200; ++i) anew.add({404, 900us, 1, 1, 1});
  CHECK(anew.since(traffic).bytes_out == 200);
}

TEST_CASE("who is asked no more is forgotten, who is asked goes on") {
  TrafficTable table;
  const TrafficTable::Clock::time_point start{};
  table.add("a", {200, 1ms, 1, 0, 0}, start);
  table.add("b", {200, 1ms, 1, 0, 0}, start);
  table.add("a", {200, 1ms, 1, 0, 0}, start + 50min);
  table.forget_idle(start + 61min);
  std::map<std::string, Traffic> all;
  table.add_to(all);
  CHECK(all.size() == 1);
  CHECK(all.at("a").requests() == 2);
}

TEST_CASE("news of a table are what came since they were taken") {
  TrafficTable table;
  const TrafficTable::Clock::time_point start{};
  auto news = [&] {
    std::map<std::string, Traffic> all;
    table.move_news(all);
    return all;
  };
  table.add("a", {200, 1ms, 1, 0, 0}, start);
  table.add("a", {503, 1ms, 1, 0, 0}, start);
  table.add("b", {200, 1ms, 1, 0, 0}, start);
  CHECK(news().at("a").requests() == 2);
  CHECK(news().empty());
  table.add("a", {200, 1ms, 1, 0, 0}, start);
  const auto second = news();
  CHECK(second.size() == 1);
  CHECK(second.at("a").answers == std::array<std::uint64_t, 6>{0, 0, 1, 0, 0, 0});
  // What is forgotten has no news either.
  table.add("b", {200, 1ms, 1, 0, 0}, start);
  table.forget_idle(start + 61min);
  CHECK(news().empty());
  table.add("b", {200, 1ms, 1, 0, 0}, start + 61min);
  CHECK(news().at("b").requests() == 1);
}

TEST_CASE("top shows what came in the interval, the busiest first") {
  Traffic busy;
  Traffic idle;
  idle.add({200, 1ms, 1, 0, 0});
  const json before{{"apps", {{"app_idle", told(idle)}, {"app_busy", told(busy)}}},
                    {"in_hand", json::object()}};
  for (int i = 0; i < 20; ++i) busy.add({i < 2 ? 502 : 200, 3ms, 1, 512, 2048});
  const json after{{"apps", {{"app_idle", told(idle)}, {"app_busy", told(busy)}}},
                   {"in_hand", {{"app_busy", {{"vm-1", 2}, {"vm-2", 1}}}}},
                   {"held", {{"app_waked", 7}}}};
  CHECK(
      render_top(before, after, 2, 20) ==
      "application                              req/s    4xx/s    5xx/s  in hand   held   "
      "p50 ms   p99 ms        in/s       out/s\n"
      "all applications                          10.0      0.0      1.0        3      7        5   "
      "     5       5 KiB      20 KiB\n"
      "app_busy                                  10.0      0.0      1.0        3      0        5   "
      "     5       5 KiB      20 KiB\n"
      "app_waked                                  0.0      0.0      0.0        0      7        0   "
      "     0         0 B         0 B\n"
      "app_idle                                   0.0      0.0      0.0        0      0        0   "
      "     0         0 B         0 B\n");
  // The rest is in the sum alone.
  const auto short_one = render_top(before, after, 2, 1);
  CHECK_THAT(short_one, Catch::Contains("app_busy") && !Catch::Contains("app_idle"));
}
