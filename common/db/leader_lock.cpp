#include "common/db/leader_lock.hpp"

#include <pqxx/pqxx>

#include "common/db/session.hpp"

namespace karreg::db {

struct LeaderLock::Impl {
  std::string url;
  std::int64_t key;
  std::unique_ptr<pqxx::connection> connection;
  bool held = false;
};

LeaderLock::LeaderLock(const std::string& url, std::int64_t key)
    : impl_(std::make_unique<Impl>(Impl{with_timeouts(url), key, nullptr, false})) {}

LeaderLock::~LeaderLock() = default;

Result<bool> LeaderLock::hold() {
  try {
    if (!impl_->connection) {
      impl_->held = false;
      impl_->connection = std::make_unique<pqxx::connection>(impl_->url);
    }
    pqxx::nontransaction work(*impl_->connection);
    if (impl_->held) {
      work.exec("SELECT 1");  // the lock lives exactly as long as this session
      return true;
    }
    impl_->held = work.exec_params1("SELECT pg_try_advisory_lock($1)", impl_->key)[0].as<bool>();
    return impl_->held;
  } catch (const std::exception& e) {
    release();
    return Error(ErrorKind::unavailable, std::string("the database is away: ") + e.what());
  }
}

void LeaderLock::release() {
  impl_->connection.reset();
  impl_->held = false;
}

}  // namespace karreg::db
