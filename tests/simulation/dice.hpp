#pragma once

#include <cstdint>
#include <random>

#include "scheduler/core/world.hpp"

namespace karreg::simulation {

using scheduler::milliseconds;
using scheduler::Time;
using namespace std::chrono_literals;

/// All chance of one run; the same seed gives the same run.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  /// 0 .. n-1.
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  /// True in @p per_thousand of 1000 cases.
  bool chance(std::uint64_t per_thousand) { return below(1000) < per_thousand; }
  milliseconds between(milliseconds least, milliseconds most) {
    const auto span = static_cast<std::uint64_t>((most - least).count()) + 1;
    return least + milliseconds(static_cast<std::int64_t>(below(span)));
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace karreg::simulation
