#pragma once

#include <set>

#include "api/services.hpp"

namespace karreg::api::git {

/// The pushes that a process which is gone left open have lost their pushers: as for every pusher
/// who leaves, the branch moves at once, except where the deployment has failed; of several pushes
/// to one branch, to the newest. Called at start, and again and again for what other processes
/// leave.
class Orphans {
 public:
  explicit Orphans(const Services& services) : services_(services) {}
  /// Adopts what is orphaned now. Blocks.
  Result<void> adopt();
  /// Adopts what was orphaned at the last call too: an owner whose connection to the database broke
  /// is given the time to come back. Blocks.
  Result<void> adopt_forsaken();

 private:
  const Services& services_;
  std::set<std::int64_t> missed_;  ///< owners that were not there at the last call
};

}  // namespace karreg::api::git
