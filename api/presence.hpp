#pragma once

#include <cstdint>
#include <string>

#include "common/db/leader_lock.hpp"

namespace karreg::api {

/// By this the processes of one platform's API know of each other which live: each holds an
/// advisory lock of its own as long as it does. For one thread at a time.
class Presence {
 public:
  explicit Presence(const std::string& database_url);
  /// The lock's key, another one in each run.
  std::int64_t id() const { return id_; }
  /// Takes the lock, also again after a lost connection. Error `unavailable` when the database is
  /// away.
  Result<void> hold();

 private:
  std::int64_t id_;
  db::LeaderLock lock_;
};

}  // namespace karreg::api
