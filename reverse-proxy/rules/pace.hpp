#pragma once
/// How fast requests may come: a token bucket, kept as the one moment at which it is full again
/// (the generic cell rate algorithm, ITU-T I.371 annex A), so that all workers can share it without
/// a lock. Shared, and not divided by the workers: the kernel gives a connection to one worker, and
/// who has one connection would have a part of the rate.

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>

#include "common/wire/rules.hpp"

namespace karreg::proxy::rules {

using std::chrono::microseconds;
using SteadyClock = std::chrono::steady_clock;

struct Pace {
  Pace() = default;
  /// @p rate has at most 100 000 requests a second: no less than 10 µs each.
  explicit Pace(const wire::Rate& rate)
      : each(std::max<std::int64_t>(rate.seconds * std::int64_t{1'000'000} / rate.requests, 1)),
        burst(each * rate.burst) {}
  microseconds each{0};   ///< between two requests, on the average
  microseconds burst{0};  ///< what a full bucket holds
};

/// One more request at @p now of a bucket that is full again at @p full_at.
struct Paced {
  bool passes = false;
  microseconds full_at{0};  ///< after it
  microseconds wait{0};     ///< until one passes, when this does not
};
Paced pace(const Pace& pace, microseconds full_at, microseconds now);

/// The bucket of all visitors together. Any thread.
class AppPace {
 public:
  /// Nothing: the request passes. Else how long to wait.
  std::optional<microseconds> take(const Pace& pace, SteadyClock::time_point now);

 private:
  std::atomic<std::int64_t> full_at_{0};
};

/// Buckets of single visitors, 8192 at most (64 KiB): in sets of eight, a visitor's set found by
/// his key. Where all eight are in use, the one that is closest to full gives way; its visitor has
/// a full bucket then, which lets too much pass rather than too little. One visitor in some 8000
/// that are new shares a bucket with somebody. Any thread.
class VisitorPaces {
 public:
  VisitorPaces();
  std::optional<microseconds> take(const Pace& pace, std::uint64_t key,
                                   SteadyClock::time_point now);
  std::uint64_t secret() const { return secret_; }

 private:
  /// 16 bits of the key, and 48 of the moment in µs: nine years.
  using Slot = std::atomic<std::uint64_t>;
  static constexpr std::size_t sets = 1024;
  struct alignas(64) Set {
    std::array<Slot, 8> slots{};
  };
  const std::uint64_t secret_;
  std::unique_ptr<std::array<Set, sets>> sets_;
};

}  // namespace karreg::proxy::rules
