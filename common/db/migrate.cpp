#include "common/db/migrate.hpp"

#include <pqxx/pqxx>
#include <thread>

#include "common/crypto/digest.hpp"
#include "common/db/database.hpp"
#include "common/db/session.hpp"
#include "common/log.hpp"

namespace karreg::db {

namespace {
/// Any number, the same in all programs: taken while the schema changes.
constexpr const char* lock_schema = "SELECT pg_advisory_xact_lock(4702111234474983745)";

void apply(pqxx::connection& connection, const Migration& step) {
  pqxx::work work(connection);
  work.exec(lock_schema);
  const std::string digest = crypto::sha256_hex(step.sql);
  const auto applied =
      work.exec_params("SELECT sha256 FROM schema_migrations WHERE name = $1", step.name);
  if (!applied.empty()) {
    if (applied[0][0].as<std::string>() == digest) return;
    throw std::invalid_argument("the migration " + step.name +
                                " was applied in another form: a step that has been applied never "
                                "changes, add a new one");
  }
  work.exec(step.sql);
  work.exec_params("INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)", step.name,
                   digest);
  work.commit();
  log::info("schema changed", {log::field("migration", step.name)});
}
}  // namespace

Result<void> migrate(const std::string& url, std::chrono::seconds patience,
                     const std::vector<Migration>& steps) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    try {
      pqxx::connection connection(with_timeouts(url));
      {
        pqxx::work work(connection);
        work.exec(lock_schema);
        work.exec(
            "CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, sha256 text NOT "
            "NULL, "
            "applied_at timestamptz NOT NULL DEFAULT now())");
        work.commit();
      }
      for (const auto& step : steps) apply(connection, step);
      return ok();
    } catch (const pqxx::broken_connection& e) {
      if (std::chrono::steady_clock::now() > deadline)
        return Error(ErrorKind::unavailable,
                     std::string("the database does not answer: ") + e.what());
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    } catch (const std::invalid_argument& e) {
      return Error(ErrorKind::conflict, e.what());
    } catch (const std::exception& e) {
      return Error(ErrorKind::internal, std::string("changing the schema failed: ") + e.what());
    }
  }
}

}  // namespace karreg::db
