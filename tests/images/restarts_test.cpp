#include "images/guest/restarts.hpp"

#include <catch2/catch.hpp>
#include <limits>

using namespace karreg::guest;
using namespace std::chrono_literals;

namespace {
const Clock::time_point start{};
/// What passes after each of @p lives, which all end badly.
std::vector<Restarts::Delay> delays(Restarts restarts, const std::vector<Restarts::Delay>& lives) {
  std::vector<Restarts::Delay> result;
  for (const auto life : lives)
    result.push_back(restarts.after(false, start, start + life).value());
  return result;
}
using Delays = std::vector<Restarts::Delay>;
}  // namespace

TEST_CASE("whether a worker is started again is its policy and how it ended") {
  const auto again = [](const std::string& policy, bool good) {
    return Restarts(policy, 1'000).after(good, start, start + 1h).has_value();
  };
  CHECK(again("on-failure", false));
  CHECK_FALSE(again("on-failure", true));
  CHECK(again("always", false));
  CHECK(again("always", true));
  CHECK_FALSE(again("no", false));
  CHECK_FALSE(again("no", true));
  CHECK(again("what nobody knows", false));
  CHECK_FALSE(again("what nobody knows", true));
}

TEST_CASE("the delay of a worker doubles while it fails fast, up to a minute") {
  CHECK(delays({"on-failure", 1'000}, Delays(9, 2s)) ==
        Delays{1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s, 60s});
}

TEST_CASE("a worker that lasted begins anew") {
  CHECK(delays({"on-failure", 500}, {0s, 0s, 9'999ms, 10s, 0s, 1h, 1h}) ==
        Delays{500ms, 1s, 2s, 500ms, 1s, 500ms, 500ms});
}

TEST_CASE("one that ends well and soon, and is always started again, does not spin either") {
  Restarts restarts("always", 1'000);
  CHECK(restarts.after(true, start, start) == 1s);
  CHECK(restarts.after(true, start, start) == 2s);
  CHECK(restarts.after(false, start, start) == 4s);
}

TEST_CASE("without a delay a worker is started again at once, but not without end") {
  for (const std::int64_t none : {0, -5})
    CHECK(delays({"always", none}, Delays(4, 1ms)) == Delays{0s, 1s, 2s, 4s});
}

TEST_CASE("a delay that is long by itself stays") {
  CHECK(delays({"always", 45'000}, Delays(3, 1s)) == Delays{45s, 60s, 60s});
  CHECK(delays({"always", 300'000}, Delays(3, 1s)) == Delays{300s, 300s, 300s});
  CHECK(delays({"always", std::numeric_limits<std::int64_t>::max()}, Delays(2, 1s)) ==
        Delays{24h, 24h});
}

TEST_CASE("times are told as people say them") {
  CHECK(duration(0) == "0 s");
  CHECK(duration(1'000) == "1 s");
  CHECK(duration(1'500) == "1.5 s");
  CHECK(duration(50) == "0.05 s");
  CHECK(duration(60'000) == "60 s");
}
