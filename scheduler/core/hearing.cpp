#include "scheduler/core/hearing.hpp"

#include <algorithm>

namespace karreg::scheduler {

Time Hearing::since(const World& world, Time now) {
  Time heard{};
  for (const auto& [id, host] : world.hosts) heard = std::max(heard, host.last_seen);
  for (const auto& [id, proxy] : world.proxies) heard = std::max(heard, proxy.last_seen);
  if (!last_look_ || now - *last_look_ > deaf_after || now - heard > deaf_after) since_ = now;
  last_look_ = now;
  return since_;
}

}  // namespace karreg::scheduler
