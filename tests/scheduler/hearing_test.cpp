// Our own deafness is not the others' silence.
#include "scheduler/core/hearing.hpp"

#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;

namespace {
/// A world in which one host and one proxy were seen.
World seen(Time host, Time proxy) {
  World world;
  world.hosts["host-1"] = {"host-1", 1024, host};
  world.proxies["proxy-1"] = {"proxy-1", 0, {}, proxy};
  return world;
}
constexpr Time start{std::chrono::hours(1)};
}  // namespace

TEST_CASE("hearing begins with the first look") {
  Hearing hearing;
  CHECK(hearing.since(seen(start, start), start) == start);
  CHECK(hearing.since(seen(start + 2s, start + 2s), start + 3s) == start);
}

TEST_CASE("while one is heard, the other's silence counts") {
  Hearing hearing;
  Time now = start;
  for (; now < start + 1min; now += 2s) hearing.since(seen(start, now), now);
  CHECK(hearing.since(seen(start, now), now) == start);
}

TEST_CASE("when nobody was heard, hearing begins again with the first report") {
  Hearing hearing;
  hearing.since(seen(start, start), start);
  Time now = start;
  for (; now < start + 1min; now += 500ms) hearing.since(seen(start, start), now);
  const Time back = now;
  // The other's report is still on its way.
  CHECK(hearing.since(seen(back, start), back) == back - 500ms);
}

TEST_CASE("hearing begins again when this process did not look") {
  Hearing hearing;
  hearing.since(seen(start, start), start);
  const Time back = start + 1min;
  CHECK(hearing.since(seen(back, start), back) == back);
}

TEST_CASE("hearing begins again when another process led meanwhile") {
  Hearing hearing;
  hearing.since(seen(start, start), start);
  hearing.reset();
  CHECK(hearing.since(seen(start, start), start + 1s) == start + 1s);
}
