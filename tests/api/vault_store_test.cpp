#include "api/stores/vault_store.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "../common/db/schema.hpp"
#include "common/db/migrate.hpp"

using namespace karreg;
using namespace std::chrono_literals;

TEST_CASE("the key of a new platform is made; that of one that holds secrets is never replaced") {
  test::Schema schema;
  REQUIRE(db::migrate(schema.url, 10s));
  db::Database database(schema.url, 1);
  const std::string key = "/tmp/karreg-key-" + ids::uuid();
  auto vault = api::open_vault(database, key);
  REQUIRE(vault);
  const auto sealed = vault->seal("secret", "consumer");
  REQUIRE(database.transact([&](pqxx::work& work) -> Result<void> {
    work.exec_params0(
        "INSERT INTO oauth_consumers (key, sealed_secret, name) VALUES ('consumer', $1, 'x')",
        sealed);
    return ok();
  }));
  auto again = api::open_vault(database, key);
  REQUIRE(again);
  CHECK(*again->open(sealed, "consumer") == "secret");

  REQUIRE(std::filesystem::remove(key));
  auto lost = api::open_vault(database, key);
  REQUIRE_FALSE(lost);
  CHECK(lost.error().kind() == ErrorKind::not_found);
  CHECK_THAT(lost.error().message(), Catch::Contains(key) && Catch::Contains("secrets.key_file") &&
                                         Catch::Contains("restore it from the backup"));
  CHECK_FALSE(std::filesystem::exists(key));
}
