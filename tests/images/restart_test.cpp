#include "images/guest/restart.hpp"

#include <catch2/catch.hpp>

using namespace karreg::guest;
using namespace std::chrono_literals;
using karreg::wire::guest::Worker;

namespace {

/// A worker's life by a clock of its own.
struct Life {
  Restart restart;
  Restart::Time now{};
  explicit Life(const std::string& policy, std::int64_t delay_ms = 1'000)
      : restart(Worker{"worker", "rake work", policy, delay_ms}) {}
  std::optional<Restart::Delay> runs(std::chrono::milliseconds time, bool good = false) {
    restart.started(now);
    now += time;
    return restart.ended(good, now);
  }
};

}  // namespace

TEST_CASE("a worker is started again as its policy says") {
  CHECK(Life("on-failure").runs(20s, false) == 1s);
  CHECK_FALSE(Life("on-failure").runs(20s, true));
  CHECK(Life("always").runs(20s, true) == 1s);
  CHECK(Life("always").runs(20s, false) == 1s);
  CHECK_FALSE(Life("no").runs(20s, false));
  CHECK_FALSE(Life("no").runs(20s, true));
  CHECK(Life("what newer platforms say").runs(20s, false) == 1s);
}

TEST_CASE("one that keeps ending soon waits longer and longer, up to a minute") {
  Life life("on-failure");
  for (const auto expected : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) CHECK(life.runs(9s) == expected);
  CHECK(life.runs(10s) == 1s);
  CHECK(life.runs(1s) == 2s);
}

TEST_CASE("a delay of nothing grows too; one above a minute stays what it is") {
  Life eager("always", 0);
  for (const auto expected : {0s, 1s, 2s, 4s}) CHECK(eager.runs(0ms) == expected);
  Life patient("always", 300'000);
  for (int i = 0; i < 3; ++i) CHECK(patient.runs(1s) == 300s);
  CHECK(Life("always", -5).runs(0ms) == 0s);
}
