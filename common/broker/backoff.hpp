#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace karreg::broker {

/// Exponential back-off with full jitter: 100 ms doubling to 5 s.
class Backoff {
 public:
  std::chrono::milliseconds next() {
    const auto most = ceiling_;
    ceiling_ = std::min(ceiling_ * 2, std::chrono::milliseconds(5000));
    std::uniform_int_distribution<std::int64_t> spread(most.count() / 2, most.count());
    return std::chrono::milliseconds(spread(random_));
  }
  void reset() { ceiling_ = first; }

 private:
  static constexpr std::chrono::milliseconds first{100};
  std::chrono::milliseconds ceiling_ = first;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace karreg::broker
