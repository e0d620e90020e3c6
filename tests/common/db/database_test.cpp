#include "common/db/database.hpp"

#include <catch2/catch.hpp>
#include <thread>

#include "common/db/leader_lock.hpp"
#include "common/db/migrate.hpp"
#include "schema.hpp"

using namespace karreg;
using namespace std::chrono_literals;
using test::Schema;

namespace {
Result<int> one(pqxx::work& work) {
  return work.exec1("SELECT 1")[0].as<int>();
}

/// Ends every other session of the test database that searches @p schema, as a restarted server
/// would.
void cut_sessions(const std::string& schema) {
  pqxx::connection connection(test::database_url());
  pqxx::nontransaction work(connection);
  work.exec(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
      "application_name = " +
      work.quote(schema));
}
}  // namespace

TEST_CASE("a transaction is kept when it returns a value and undone when it returns an error") {
  Schema schema;
  db::Database database(schema.url);
  REQUIRE(database.transact([](pqxx::work& work) -> Result<void> {
    work.exec("CREATE TABLE t (n int PRIMARY KEY)");
    return ok();
  }));
  auto refused = database.transact([](pqxx::work& work) -> Result<void> {
    work.exec("INSERT INTO t VALUES (1)");
    return Error(ErrorKind::invalid, "no");
  });
  CHECK(refused.error().message() == "no");
  const auto count = [](pqxx::work& work) -> Result<int> {
    return work.exec1("SELECT count(*) FROM t")[0].as<int>();
  };
  CHECK(*database.transact(count) == 0);
  const auto insert = [](pqxx::work& work) -> Result<void> {
    work.exec("INSERT INTO t VALUES (1)");
    return ok();
  };
  REQUIRE(database.transact(insert));
  CHECK(database.transact(insert).error().kind() == ErrorKind::conflict);
  CHECK(*database.transact(count) == 1);
}

TEST_CASE("two transactions that read and write the same row both happen") {
  Schema schema;
  db::Database database(schema.url, 4);
  REQUIRE(database.transact([](pqxx::work& work) -> Result<void> {
    work.exec("CREATE TABLE t (n int); INSERT INTO t VALUES (0)");
    return ok();
  }));
  const auto increment = [&] {
    return database.transact([](pqxx::work& work) -> Result<void> {
      work.exec("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
      const int n = work.exec1("SELECT n FROM t")[0].as<int>();
      work.exec_params0("UPDATE t SET n = $1", n + 1);
      return ok();
    });
  };
  std::atomic<int> done{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i)
      threads.emplace_back([&] {
        for (int k = 0; k < 5; ++k)
          while (!increment()) std::this_thread::yield();
        ++done;
      });
  }
  CHECK(done == 3);
  CHECK(*database.transact([](pqxx::work& work) -> Result<int> {
    return work.exec1("SELECT n FROM t")[0].as<int>();
  }) == 15);
}

TEST_CASE("the pool recovers when the server ends its sessions") {
  Schema schema;
  db::Database database(schema.url + " application_name=" + schema.name, 2);
  REQUIRE(database.transact(one));
  cut_sessions(schema.name);
  // The first call may meet the dead session; it says so, and the next one has a new session.
  auto first = database.transact(one);
  if (!first) CHECK(first.error().kind() == ErrorKind::unavailable);
  CHECK(database.transact(one));
}

TEST_CASE("a database that is away is said to be") {
  db::Database database("host=/nonexistent dbname=x");
  auto result = database.transact(one);
  REQUIRE_FALSE(result);
  CHECK(result.error().kind() == ErrorKind::unavailable);
  CHECK(db::migrate("host=/nonexistent dbname=x", 0s).error().kind() == ErrorKind::unavailable);
}

TEST_CASE("migrations are applied once, by however many daemons, and never change afterwards") {
  Schema schema;
  const std::vector<db::Migration> steps = {{"0001_a", "CREATE TABLE a (n int)"},
                                            {"0002_b", "CREATE TABLE b (n int)"}};
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> daemons;
    for (int i = 0; i < 4; ++i)
      daemons.emplace_back([&] {
        if (db::migrate(schema.url, 10s, steps)) ++good;
      });
  }
  CHECK(good == 4);
  auto changed = steps;
  changed[0].sql = "CREATE TABLE a (n bigint)";
  auto refused = db::migrate(schema.url, 10s, changed);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind() == ErrorKind::conflict);
  CHECK_THAT(refused.error().message(), Catch::Contains("0001_a"));
}

TEST_CASE("a migration that fails leaves nothing behind and names no success") {
  Schema schema;
  const std::vector<db::Migration> steps = {
      {"0001_bad", "CREATE TABLE c (n int); SELECT nonsense"}};
  CHECK_FALSE(db::migrate(schema.url, 10s, steps));
  db::Database database(schema.url);
  CHECK(*database.transact([](pqxx::work& work) -> Result<bool> {
    return work.exec1("SELECT to_regclass('c') IS NULL")[0].as<bool>();
  }));
}

TEST_CASE("our schema applies to an empty database") {
  Schema schema;
  CHECK(db::migrate(schema.url, 10s));
  CHECK(db::migrate(schema.url, 10s));
}

TEST_CASE("one leads, and another takes over when it dies") {
  const auto key = static_cast<std::int64_t>(std::hash<std::string>{}(ids::uuid()));
  auto first = std::make_unique<db::LeaderLock>(test::database_url(), key);
  db::LeaderLock second(test::database_url(), key);
  CHECK(*first->hold());
  CHECK(*first->hold());
  CHECK_FALSE(*second.hold());
  first.reset();
  const auto until = std::chrono::steady_clock::now() + 10s;
  bool leads = false;
  while (!leads && std::chrono::steady_clock::now() < until) leads = *second.hold();
  CHECK(leads);
}
