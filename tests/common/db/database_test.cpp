#include "common/db/database.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "common/db/arrays.hpp"
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
  const auto again = database.transact(insert);
  CHECK(again.error().kind() == ErrorKind::conflict);
  CHECK(again.error().message() == "it is there already, or was made at the same moment");
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

TEST_CASE("a connection is free for others only when a refused transaction is undone") {
  constexpr int threads = 4;
  constexpr int transactions = 500;
  Schema schema;
  db::Database database(schema.url, 1);
  REQUIRE(database.transact([](pqxx::work& work) -> Result<void> {
    work.exec("CREATE TABLE t (n int)");
    return ok();
  }));
  std::atomic<int> kept{0};
  std::atomic<int> refused{0};
  std::mutex mutex;
  std::set<std::string> surprises;
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < threads; ++i)
      writers.emplace_back([&] {
        for (int k = 0; k < transactions; ++k) try {
            auto done = database.transact([&](pqxx::work& work) -> Result<void> {
              work.exec("INSERT INTO t VALUES (1)");
              if (k % 2 == 0) return ok();
              return Error(ErrorKind::invalid, "refused");
            });
            if (done) {
              ++kept;
            } else if (done.error().message() == "refused") {
              ++refused;
            } else {
              const std::lock_guard lock(mutex);
              surprises.insert(done.error().message());
            }
          } catch (const std::exception& e) {
            const std::lock_guard lock(mutex);
            surprises.insert(e.what());
          }
      });
  }
  for (const auto& surprise : surprises) FAIL_CHECK(surprise);
  CHECK(kept == threads * transactions / 2);
  CHECK(refused == threads * transactions / 2);
  CHECK(*database.transact([](pqxx::work& work) -> Result<int> {
    return work.exec1("SELECT count(*) FROM t")[0].as<int>();
  }) == kept);
}

TEST_CASE("the pool recovers when the server ends its sessions") {
  Schema schema;
  db::Database database(schema.url + " application_name=" + schema.name, 2);
  REQUIRE(database.transact(one));
  cut_sessions(schema.name);
  CHECK(database.transact(one));
}

TEST_CASE("a database that is away is said to be") {
  db::Database database("host=/nonexistent dbname=x");
  auto result = database.transact(one);
  REQUIRE_FALSE(result);
  CHECK(result.error().kind() == ErrorKind::unavailable);
  CHECK(result.error().message() == "the database is away for the moment, try again");
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

TEST_CASE("a leader whose session has ended leads no more, whoever took over") {
  Schema schema;
  const auto key = static_cast<std::int64_t>(std::hash<std::string>{}(ids::uuid()));
  db::LeaderLock first(schema.url + " application_name=" + schema.name, key);
  db::LeaderLock second(test::database_url(), key);
  REQUIRE(*first.hold());
  cut_sessions(schema.name);
  const auto until = std::chrono::steady_clock::now() + 10s;
  bool leads = false;
  while (!leads && std::chrono::steady_clock::now() < until) leads = *second.hold();
  REQUIRE(leads);
  const auto again = first.hold();
  CHECK((!again || !*again));
  CHECK_FALSE(*first.hold());
}

TEST_CASE("a server that accepts connections and says nothing is away") {
  // By the kernel's backlog.
  const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(silent >= 0);
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(silent, reinterpret_cast<const sockaddr*>(&in), sizeof in) == 0);
  REQUIRE(::listen(silent, 8) == 0);
  socklen_t size = sizeof in;
  REQUIRE(::getsockname(silent, reinterpret_cast<sockaddr*>(&in), &size) == 0);
  const auto begin = std::chrono::steady_clock::now();
  db::LeaderLock lock("host=127.0.0.1 dbname=x user=x port=" + std::to_string(ntohs(in.sin_port)),
                      1);
  const auto held = lock.hold();
  REQUIRE_FALSE(held);
  CHECK(held.error().kind() == ErrorKind::unavailable);
  CHECK(std::chrono::steady_clock::now() - begin < 20s);
  ::close(silent);
}

TEST_CASE("words stand in an array as they are, whoever chose them") {
  Schema schema;
  db::Database database(schema.url);
  const std::vector<std::string> words{"plain", "", "it's", "a \"b\", {c}", "back\\slash", "NULL"};
  const auto kept = database.transact([&](pqxx::work& work) -> Result<std::vector<std::string>> {
    std::vector<std::string> all;
    for (const auto& row : work.exec_params("SELECT unnest($1::text[])", db::array_of(words)))
      all.push_back(row[0].as<std::string>());
    return all;
  });
  REQUIRE(kept);
  CHECK(*kept == words);
}
