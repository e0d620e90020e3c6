#pragma once
/// When a worker that ended is started again. Pure: time comes in through parameters.
///
/// `no`: never. `on-failure`: when it ended otherwise than with 0. `always`: however it ended. Its
/// own delay passes first. While it keeps ending soon after its start the delay doubles, so that
/// one that can never work does not eat the VM; one that lasted begins anew.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "images/guest/log_buffer.hpp"

namespace karreg::guest {

class Restarts {
 public:
  using Delay = std::chrono::milliseconds;

  /// One that ended earlier than this after its start has failed fast.
  static constexpr std::chrono::seconds lasting{10};
  /// Delays do not grow beyond it; one that is longer from the beginning stays as it is.
  static constexpr std::chrono::seconds longest{60};
  /// Of a worker's own delay.
  static constexpr std::chrono::hours longest_own{24};
  /// What a delay of nothing becomes when it doubles.
  static constexpr std::chrono::seconds smallest_growth{1};

  /// @p policy and @p delay_ms as in wire::guest::Worker; a policy that is none of the three is
  /// "on-failure", a delay below 0 is none, one over `longest_own` is that.
  Restarts(const std::string& policy, std::int64_t delay_ms);

  /// What passes until the worker, which began at @p began and ended at @p ended, is started again;
  /// nothing: it is not. @p good: it ended with 0.
  std::optional<Delay> after(bool good, Clock::time_point began, Clock::time_point ended);

 private:
  enum class Policy { never, on_failure, always };
  Policy policy_;
  Delay own_;
  Delay next_;
};

/// For a human: "1 s", "1.5 s".
std::string duration(std::int64_t ms);

}  // namespace karreg::guest
