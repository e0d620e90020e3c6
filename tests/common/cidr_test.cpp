#include "common/cidr.hpp"

#include <catch2/catch.hpp>

using namespace karreg;

TEST_CASE("a range in CIDR notation holds what begins as it does") {
  struct Case {
    const char* range;
    const char* address;
    bool holds;
  };
  const auto c = GENERATE(values<Case>({
      {"10.0.0.0/8", "10.255.1.2", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"192.0.2.128/25", "192.0.2.128", true},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.7", "192.0.2.7", true},
      {"192.0.2.7/32", "192.0.2.6", false},
      {"0.0.0.0/0", "8.8.8.8", true},
      {"0.0.0.0/0", "2001:db8::1", false},
      {"::/0", "2001:db8::1", true},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"10.0.0.0/8", "::ffff:10.1.2.3", true},
  }));
  CAPTURE(c.range, c.address);
  CHECK(parse_cidr(c.range)->contains(*parse_ip(c.address)) == c.holds);
}

TEST_CASE("what is no range is told") {
  for (const char* text :
       {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8 ", "10.0.0/8", "10.0.0.1/8",
        "::1/129", "2001:db8::1/32", "[::1]", "a", "fe80::1%eth0", "1.2.3.4/8/8", "010.1.1.1/8"})
    CHECK_FALSE(parse_cidr(text));
}
