#include "builder/disk_space.hpp"

#include <catch2/catch.hpp>

using namespace karreg::builder;

namespace {
constexpr std::int64_t gib = std::int64_t{1} << 30;
}

TEST_CASE("a build begins when all that builds may take still fits") {
  struct Named {
    const char* name;
    DiskSpace space;
    Room expected;
  };
  const Named cases[] = {
      {"alone, to the last byte", {19 * gib, gib, 18 * gib, 0, 0}, Room::enough},
      {"alone, one byte short", {19 * gib - 1, gib, 18 * gib, 0, 0}, Room::never},
      {"alone on a full disk", {0, gib, 18 * gib, 0, 0}, Room::never},
      {"beside another", {37 * gib, gib, 18 * gib, 18 * gib, 1}, Room::enough},
      {"beside another, one byte short", {37 * gib - 1, gib, 18 * gib, 18 * gib, 1}, Room::later},
      {"beside two", {54 * gib, gib, 18 * gib, 36 * gib, 2}, Room::later},
      {"another that takes nothing may still end", {18 * gib, gib, 18 * gib, 0, 1}, Room::later},
      {"nothing kept, nothing wanted", {0, 0, 0, 0, 0}, Room::enough},
  };
  for (const Named& one : cases) {
    INFO(one.name);
    CHECK(room_for(one.space) == one.expected);
  }
}
