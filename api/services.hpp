#pragma once

#include <cstdint>
#include <functional>

#include "api/settings.hpp"
#include "common/async/asio.hpp"
#include "common/broker/publisher.hpp"
#include "common/crypto/vault.hpp"
#include "common/db/database.hpp"

namespace karreg::api {

class ReaderSlots;

/// What every part of the API uses. Lives as long as the server.
struct Services {
  Settings settings;
  crypto::Vault vault;
  db::Database& database;
  broker::Publisher& publisher;
  asio::thread_pool& pool;  ///< for transactions and libgit2
  /// One thread for each log that may be followed, and one that asks where finite ones end.
  asio::thread_pool& log_pool;
  asio::thread_pool& password_pool;  ///< for what takes its time and memory on purpose
  ReaderSlots& log_slots;            ///< as many as logs may be followed at once
  std::int64_t process;              ///< Presence::id of this run
};

}  // namespace karreg::api
