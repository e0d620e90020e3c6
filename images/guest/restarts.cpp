#include "images/guest/restarts.hpp"

#include <algorithm>

namespace karreg::guest {

Restarts::Restarts(const std::string& policy, std::int64_t delay_ms)
    : policy_(policy == "no"       ? Policy::never
              : policy == "always" ? Policy::always
                                   : Policy::on_failure),
      own_(std::clamp<Delay>(Delay(delay_ms), Delay(0), longest_own)),
      next_(own_) {}

std::optional<Restarts::Delay> Restarts::after(bool good, Clock::time_point began,
                                               Clock::time_point ended) {
  if (policy_ == Policy::never || (policy_ == Policy::on_failure && good)) return std::nullopt;
  if (ended - began >= lasting) next_ = own_;
  const Delay delay = next_;
  const Delay doubled = std::max<Delay>(delay + std::min<Delay>(delay, longest), smallest_growth);
  next_ = std::max(own_, std::min<Delay>(doubled, longest));
  return delay;
}

std::string duration(std::int64_t ms) {
  std::string text = std::to_string(ms / 1000);
  if (const auto rest = ms % 1000; rest != 0) {
    std::string digits = std::to_string(1000 + rest).substr(1);
    digits.erase(digits.find_last_not_of('0') + 1);
    text += "." + digits;
  }
  return text + " s";
}

}  // namespace karreg::guest
