#pragma once
/// PostgreSQL through libpqxx: a pool of connections for blocking code. Only *_store.cpp files
/// include this.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "common/error.hpp"

namespace karreg::db {

/// The setting [database].
std::vector<Setting> settings();

/// What a libpqxx exception means to us, in words for anybody; its own are logged, except those of
/// `internal`, which its caller logs.
Error to_error(const std::exception& e);

/// Whether @p e says that the same transaction may succeed when tried again (serialisation failure,
/// deadlock).
bool is_retryable(const std::exception& e);

/// A bounded pool. Thread-safe; every call blocks, so coroutine code calls it through offload().
class Database {
 public:
  explicit Database(const std::string& url, std::size_t connections = 4);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Runs @p fn(pqxx::work&) -> Result<T> in a transaction, committed when it returns a value and
  /// rolled back when it returns an error. Tried again (3 times) on serialisation failures, and
  /// once when the connection turns out to be dead: @p fn must have no other effect, or one that it
  /// may repeat. Exceptions of libpqxx become errors: `conflict` (unique violation),
  /// `unavailable` (no connection).
  template <class Fn>
  auto transact(Fn fn) -> std::invoke_result_t<Fn&, pqxx::work&> {
    for (int attempt = 1;; ++attempt) {
      auto lease = take();
      if (!lease) return lease.error();
      try {
        auto result = run(**lease, fn);
        give_back(std::move(*lease));
        return result;
      } catch (const pqxx::broken_connection& e) {
        // Not while it was committed: that is pqxx::in_doubt_error.
        drop();
        if (attempt > 1) return to_error(e);
      } catch (const pqxx::failure& e) {
        const bool again = is_retryable(e) && attempt < 4;
        give_back(std::move(*lease));
        if (!again) return to_error(e);
      } catch (...) {
        drop();
        throw;
      }
    }
  }

 private:
  using Lease = std::unique_ptr<pqxx::connection>;
  /// One transaction from beginning to end: when it returns, the roll-back too is over, and the
  /// connection is free for another thread.
  template <class Fn>
  static auto run(pqxx::connection& connection, Fn& fn) -> std::invoke_result_t<Fn&, pqxx::work&> {
    pqxx::work work(connection);
    auto result = fn(work);
    if (result) work.commit();
    return result;
  }
  Result<Lease> take();
  void give_back(Lease connection);
  void drop();

  std::string url_;
  std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<Lease> idle_;
  std::size_t open_ = 0;
  std::atomic<bool> away_{false};  ///< and the log says so
};

}  // namespace karreg::db
