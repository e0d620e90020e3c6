#pragma once
/// When a worker that ended is started again. Pure: time comes in through parameters.

#include <chrono>
#include <optional>

#include "common/wire/guest.hpp"

namespace karreg::guest {

/// One that keeps ending soon is started less and less often, so that it takes nothing from the app
/// that it is beside.
class Restart {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Delay = std::chrono::milliseconds;
  /// One that ran for longer is not "ending soon".
  static constexpr Delay soon{10'000};
  /// The longest that it is kept waiting, unless its owner wants longer.
  static constexpr Delay longest{60'000};

  explicit Restart(const wire::guest::Worker& worker);

  void started(Time now) { started_ = now; }
  /// It ended, with 0 (@p good) or otherwise: how long to wait before it is started again; nothing:
  /// it is not.
  std::optional<Delay> ended(bool good, Time now);

 private:
  enum class Policy { on_failure, always, no };
  Policy policy_;
  Delay delay_;
  Delay next_;
  Time started_{};
};

}  // namespace karreg::guest
