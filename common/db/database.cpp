#include "common/db/database.hpp"

#include <chrono>

#include "common/db/session.hpp"
#include "common/log.hpp"

namespace karreg::db {

namespace {
/// How long a caller waits for a free connection before it is told that the platform is overloaded.
constexpr std::chrono::seconds patience{15};
/// No statement of ours needs longer; one that does is a bug or a stuck lock.
constexpr const char* session_settings =
    "SET statement_timeout = '20s'; SET lock_timeout = '10s'; SET "
    "idle_in_transaction_session_timeout = "
    "'60s'; SET timezone = 'UTC'";

Error away() {
  return Error(ErrorKind::unavailable, "the database is away for the moment, try again");
}
}  // namespace

std::vector<Setting> settings() {
  return {{"database.url",
           "libpq connection string of the platform's database, e.g. \"host=/run/postgresql "
           "dbname=karreg\"",
           "", true}};
}

bool is_retryable(const std::exception& e) {
  return dynamic_cast<const pqxx::serialization_failure*>(&e) != nullptr ||
         dynamic_cast<const pqxx::deadlock_detected*>(&e) != nullptr;
}

Error to_error(const std::exception& e) {
  // PostgreSQL's own words name tables, hosts and users: they are for the log, ours for anybody.
  const auto logged = [&](Error error) {
    log::info("database refused", {log::field("why", e.what())});
    return error;
  };
  if (dynamic_cast<const pqxx::unique_violation*>(&e) != nullptr)
    return logged({ErrorKind::conflict, "it is there already, or was made at the same moment"});
  if (dynamic_cast<const pqxx::foreign_key_violation*>(&e) != nullptr)
    return logged({ErrorKind::not_found, "what it belongs to is not there, or not any more"});
  if (dynamic_cast<const pqxx::broken_connection*>(&e) != nullptr) return logged(away());
  if (dynamic_cast<const pqxx::in_doubt_error*>(&e) != nullptr)
    return logged(
        {ErrorKind::unavailable,
         "the database went away before it said whether the change was saved, look again"});
  if (is_retryable(e))
    return logged({ErrorKind::conflict, "it is being changed at the same moment, try again"});
  return Error(ErrorKind::internal, std::string("database: ") + e.what());
}

Database::Database(const std::string& url, std::size_t connections)
    : url_(with_timeouts(url)), limit_(connections) {}

Result<Database::Lease> Database::take() {
  {
    std::unique_lock lock(mutex_);
    if (!freed_.wait_for(lock, patience, [this] { return !idle_.empty() || open_ < limit_; }))
      return Error(ErrorKind::unavailable, "all database connections are busy, try again");
    if (!idle_.empty()) {
      Lease lease = std::move(idle_.back());
      idle_.pop_back();
      // A connection that the server closed meanwhile would fail the caller's first statement.
      if (lease->is_open()) return lease;
      --open_;
    }
    ++open_;
  }
  try {
    auto connection = std::make_unique<pqxx::connection>(url_);
    pqxx::nontransaction setup(*connection);
    setup.exec(session_settings);
    away_ = false;
    return connection;
  } catch (const std::exception& e) {
    drop();
    // Once, not for each caller that tries.
    if (!away_.exchange(true)) log::warn("database is away", {log::field("why", e.what())});
    return away();
  }
}

void Database::give_back(Lease connection) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(connection));
  freed_.notify_one();
}

void Database::drop() {
  const std::lock_guard lock(mutex_);
  --open_;
  // Connections that idled while the server was away are as dead as the one that failed.
  open_ -= idle_.size();
  idle_.clear();
  freed_.notify_all();
}

}  // namespace karreg::db
