#include "common/ids.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace karreg;

TEST_CASE("an id is its prefix and a version 4 UUID") {
  const std::string id = ids::make("app_");
  CHECK(ids::is("app_", id));
  CHECK_FALSE(ids::is("user_", id));
  CHECK(id[4 + 14] == '4');
  CHECK_FALSE(ids::is("app_", "app_00000000-0000-7000-8000-000000000000"));
  CHECK_FALSE(ids::is("app_", "app_00000000-0000-4000-8000-00000000000Z"));
  CHECK_FALSE(ids::is("app_", id + "0"));
}

TEST_CASE("tokens are letters and digits, carry the entropy that was asked for, and differ") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string token = ids::random_token(32);
    CHECK(static_cast<double>(token.size()) * 5.954 >= 256);
    CHECK(
        token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") ==
        std::string::npos);
    seen.insert(token);
  }
  CHECK(seen.size() == 100);
}
