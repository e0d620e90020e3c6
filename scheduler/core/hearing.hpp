#pragma once

#include <optional>

#include "scheduler/core/world.hpp"

namespace karreg::scheduler {

/// Tells the silence of others from our own deafness. Everybody reports every two seconds, so when
/// nobody was heard for a while (the broker or the database was away) or we did not look (this
/// process was stopped, or another one led), nobody's silence until now means anything.
class Hearing {
 public:
  static constexpr milliseconds deaf_after{6'000};

  /// To be asked in each round with the time of the round; the answer is World::hearing_since.
  Time since(const World& world, Time now);
  /// Another process decides from here on.
  void reset() { last_look_.reset(); }

 private:
  Time since_{};
  std::optional<Time> last_look_;
};

}  // namespace karreg::scheduler
