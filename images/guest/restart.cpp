#include "images/guest/restart.hpp"

#include <algorithm>

namespace karreg::guest {

namespace {
/// What a delay of nothing becomes when the worker ends soon again.
constexpr Restart::Delay least_growth{1'000};
}  // namespace

Restart::Restart(const wire::guest::Worker& worker)
    : policy_(worker.restart == "always" ? Policy::always
              : worker.restart == "no"   ? Policy::no
                                         : Policy::on_failure),
      delay_(std::max<std::int64_t>(0, worker.restart_delay_ms)),
      next_(delay_) {}

std::optional<Restart::Delay> Restart::ended(bool good, Time now) {
  if (policy_ == Policy::no || (policy_ == Policy::on_failure && good)) return std::nullopt;
  if (now - started_ >= soon) next_ = delay_;
  const Delay wait = next_;
  next_ = std::min(std::max(2 * wait, least_growth), std::max(longest, delay_));
  return wait;
}

}  // namespace karreg::guest
