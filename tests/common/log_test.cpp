#include "common/log.hpp"

#include <catch2/catch.hpp>

using namespace karreg;

TEST_CASE("an event stays on one line whatever its fields hold") {
  CHECK(log::render({log::field("app", "app_1"), log::field("n", 3)}) == " app=app_1 n=3");
  CHECK(log::render({log::field("why", "a \"b\"\nc")}) == " why=\"a \\\"b\\\"\\nc\"");
  CHECK(log::render({log::field("x", std::string("\x1b[31m"))}) == " x=\\x1b[31m");
  CHECK(log::render({log::field("empty", "")}) == " empty=\"\"");
}
