// Seeded runs of the whole platform in one process. To look at one: SIM_SEED=17
// tests/platform_simulation; more of them: SIM_SEEDS=5000; longer ones: SIM_STEPS=20000.
// SIM_TRACE=1 prints all events.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "city.hpp"

using namespace karreg::simulation;

namespace {
std::uint64_t number(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}
int steps() {
  return static_cast<int>(number("SIM_STEPS", 4000));
}
}  // namespace

TEST_CASE("whatever breaks, what serves keeps serving, and all comes to rest") {
  const auto only = number("SIM_SEED", 0);
  const auto first = only != 0 ? only : 1;
  const auto last = only != 0 ? only : number("SIM_SEEDS", 200);
  City::Count sum;
  for (auto seed = first; seed <= last; ++seed) {
    City city(seed);
    try {
      city.run(steps());
    } catch (const Broken& e) {
      FAIL(e.what());
    }
    sum.deployed += city.count().deployed;
    sum.failed += city.count().failed;
    sum.cancelled += city.count().cancelled;
    sum.healed += city.count().healed;
    sum.faults += city.count().faults;
    sum.slept += city.count().slept;
    sum.woken += city.count().woken;
    sum.jobs += city.count().jobs;
    sum.crons += city.count().crons;
    sum.skipped += city.count().skipped;
    sum.rolled += city.count().rolled;
    sum.rebuilt += city.count().rebuilt;
    sum.rolls += city.count().rolls;
    sum.stopped += city.count().stopped;
    sum.news += city.count().news;
  }
  WARN(last - first + 1 << " seeds: " << sum.deployed << " deployed, " << sum.failed << " failed, "
                        << sum.cancelled << " cancelled, " << sum.healed << " healed, "
                        << sum.faults << " faults, " << sum.slept << " times asleep, " << sum.woken
                        << " times awake again, " << sum.jobs << " jobs done, " << sum.crons
                        << " crons, " << sum.skipped << " skipped, " << sum.news
                        << " told of newer images, " << sum.rolled << " rolled onto them, "
                        << sum.rebuilt << " built again for it, " << sum.rolls << " rolls done, "
                        << sum.stopped << " stopped");
  // Of fewer seeds the counts are chance.
  if (only == 0 && last >= 100) {
    CHECK(sum.deployed > static_cast<int>(last));
    CHECK(sum.failed > 0);
    CHECK(sum.cancelled > 0);
    CHECK(sum.healed > static_cast<int>(last));
    CHECK(sum.jobs > static_cast<int>(last));
    CHECK(sum.crons > static_cast<int>(last));
    CHECK(sum.skipped > 0);
    CHECK(sum.slept > static_cast<int>(last));
    CHECK(sum.woken > static_cast<int>(last) / 2);
    CHECK(sum.news > static_cast<int>(last));
    CHECK(sum.rolled > static_cast<int>(last) / 5);
    CHECK(sum.rebuilt > 0);
    CHECK(sum.rolls > 0);
    CHECK(sum.stopped > 0);
  }
}

TEST_CASE("the same seed gives the same run") {
  City one(7);
  City two(7);
  City other(8);
  one.run(1000);
  two.run(1000);
  other.run(1000);
  CHECK(one.trace() == two.trace());
  CHECK(one.trace() != other.trace());
}
