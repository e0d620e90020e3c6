#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/error.hpp"

namespace karreg::db {

/// Leadership by a PostgreSQL advisory lock: held while its connection lives, so a dead leader
/// loses it at once. For one thread.
class LeaderLock {
 public:
  LeaderLock(const std::string& url, std::int64_t key);
  ~LeaderLock();
  /// Whether this process leads now; tries to become leader when it does not. Cheap enough for
  /// every round. Error `unavailable` when the database is away.
  Result<bool> hold();
  void release();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace karreg::db
