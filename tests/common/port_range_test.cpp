#include "common/port_range.hpp"

#include <catch2/catch.hpp>

using namespace karreg;

TEST_CASE("a range of ports is read from its first and last one") {
  const auto range = parse_port_range("4000-4999");
  REQUIRE(range);
  CHECK(range->size() == 1000);
  CHECK(range->contains(4000));
  CHECK(range->contains(4999));
  CHECK_FALSE(range->contains(3999));
  CHECK_FALSE(range->contains(5000));
  CHECK(*parse_port_range("65535-65535") == PortRange{65535, 65535});
  const auto none = parse_port_range("");
  REQUIRE(none);
  CHECK(none->empty());
  CHECK(none->size() == 0);
  CHECK_FALSE(none->contains(0));
}

TEST_CASE("what is no range of ports is refused") {
  for (const std::string text :
       {"4000", "-", "4000-", "-4999", "4999-4000", "0-10", "4000-65536", "a-b", "4000-4999x"}) {
    const auto range = parse_port_range(text);
    INFO(text);
    REQUIRE_FALSE(range);
    CHECK(range.error().message() ==
          "\"" + text + "\" must be a first and a last port, such as 4000-4999");
  }
  CHECK(parse_port_range("1-5001").error().message() ==
        "\"1-5001\" has 5001 ports, but may have 5000 at most");
}
