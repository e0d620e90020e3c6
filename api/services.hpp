#pragma once

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
  asio::thread_pool& pool;      ///< for transactions and libgit2
  asio::thread_pool& log_pool;  ///< one thread for each log that is followed
  ReaderSlots& log_slots;       ///< as many as log_pool has threads
};

}  // namespace karreg::api
