#include "reverse-proxy/balance.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <vector>

using namespace karreg::proxy;
using namespace std::chrono_literals;

namespace {
std::vector<Candidate> with_load(std::vector<int> in_flight) {
  std::vector<Candidate> result;
  for (int n : in_flight) result.push_back({n, false, false});
  return result;
}
}  // namespace

TEST_CASE("the backend with the fewest requests in flight gets the next one") {
  const auto candidates = with_load({3, 1, 2});
  for (std::uint64_t chance = 0; chance < 10; ++chance)
    CHECK(choose_backend(candidates, chance) == 1U);
}

TEST_CASE("equal backends are all used") {
  const auto candidates = with_load({0, 0, 0});
  std::set<std::size_t> used;
  for (std::uint64_t chance = 0; chance < 9; ++chance)
    used.insert(choose_backend(candidates, chance).value());
  CHECK(used.size() == 3);
}

TEST_CASE("a backend set aside is used only when there is no other") {
  auto candidates = with_load({0, 9});
  candidates[0].aside = true;
  CHECK(choose_backend(candidates, 0) == 1U);
  candidates[1].aside = true;
  CHECK(choose_backend(candidates, 0) == 0U);
  candidates[0].tried = true;
  CHECK(choose_backend(candidates, 0) == 1U);
  candidates[1].tried = true;
  CHECK_FALSE(choose_backend(candidates, 0));
}

TEST_CASE("no backend, no choice") {
  CHECK_FALSE(choose_backend({}, 42));
}

TEST_CASE("many backends are loaded evenly and the broken ones left alone") {
  const auto seed = Catch::rngSeed();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  auto candidates = with_load(std::vector<int>(50, 0));
  candidates[7].aside = true;
  candidates[8].tried = true;
  for (int i = 0; i < 4800; ++i)
    ++candidates[choose_backend(candidates, random()).value()].in_flight;
  CHECK(candidates[7].in_flight == 0);
  CHECK(candidates[8].in_flight == 0);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (i == 7 || i == 8) continue;
    INFO("backend " << i);
    // 100 each would be perfect; two choices keep the gap small whatever the seed.
    CHECK(candidates[i].in_flight >= 90);
    CHECK(candidates[i].in_flight <= 110);
  }
}

TEST_CASE("repeated failures set a backend aside for longer, within bounds") {
  CHECK(aside_time(1) == 500ms);
  CHECK(aside_time(2) == 1000ms);
  CHECK(aside_time(5) == 8000ms);
  CHECK(aside_time(6) == 10'000ms);
  CHECK(aside_time(1'000'000) == 10'000ms);
}

TEST_CASE("a request is sent again only when that cannot do harm") {
  struct Case {
    const char* name;
    bool received, idempotent, replayable;
    int attempts;
    bool again;
  };
  for (const auto& c : {
           Case{"connection refused, POST", false, false, true, 1, true},
           Case{"connection refused, POST whose body has gone by", false, false, false, 1, false},
           Case{"no answer, GET", true, true, true, 1, true},
           Case{"no answer, POST", true, false, true, 1, false},
           Case{"no answer, PUT whose body has gone by", true, true, false, 1, false},
           Case{"enough attempts", false, true, true, 3, false},
       }) {
    INFO(c.name);
    CHECK(may_retry(c.received, c.idempotent, c.replayable, c.attempts, 3) == c.again);
  }
}

TEST_CASE("methods are told apart with their case") {
  CHECK(is_idempotent("GET"));
  CHECK(is_idempotent("DELETE"));
  CHECK_FALSE(is_idempotent("POST"));
  CHECK_FALSE(is_idempotent("PATCH"));
  CHECK_FALSE(is_idempotent("get"));
}
