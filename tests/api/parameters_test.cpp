// Numbers in queries.
#include "api/core/parameters.hpp"

#include <catch2/catch.hpp>

using namespace karreg;
using namespace karreg::api;

TEST_CASE("a number of a query is whole and within its bounds", "[api]") {
  CHECK(*number_parameter("limit", "5", 1, 10) == 5);
  CHECK(*number_parameter("limit", "10", 1, 10) == 10);
  for (const char* bad :
       {"", "0", "11", "5x", " 5", "5 ", "+5", "-1", "5.0", "99999999999999999999"}) {
    INFO(bad);
    const auto refused = number_parameter("limit", bad, 1, 10);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind() == ErrorKind::invalid);
    CHECK(refused.error().message() ==
          "the parameter limit must be a number from 1 to 10, not \"" + std::string(bad) + "\"");
  }
}
