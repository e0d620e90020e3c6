// TOML of anybody: what is none is an error with its place, whatever it is.
#include "common/toml.hpp"

#include <catch2/catch.hpp>

using namespace karreg;

namespace {

/// "2:3: why"
std::string trouble(std::string_view text) {
  try {
    parse_toml(text);
  } catch (const TomlError& error) {
    return std::to_string(error.line()) + ":" + std::to_string(error.column()) + ": " +
           error.what();
  }
  FAIL("it was read");
  return {};
}

}  // namespace

TEST_CASE("a text of TOML is its table") {
  const auto table = parse_toml("[a]\nb = \"c\"\n");
  CHECK(table["a"]["b"].value<std::string>() == "c");
  CHECK(parse_toml("").empty());
}

TEST_CASE("what is no TOML is told with its place") {
  CHECK(trouble("a = 1\nb = \n").starts_with("2:"));
  CHECK(trouble("a = 1\na = 2\n").starts_with("2:"));
}

TEST_CASE("a header that begins with no name is told with its place, and ends nothing") {
  const std::string why =
      "a table's name was expected after the `[`: letters, digits, - and _, or a text in quotes";
  CHECK(trouble("a = 1\n[@b]\n") == "2:2: " + why);
  CHECK(trouble("[[ @]]\n") == "1:4: " + why);
  // Letters that are no white space, where that could stand.
  for (const char* letters :
       {"a \xc3\xa9 = 1\n", "\xc3\xbe", "a = 1 \xc3\xa9\n", "[a] \xc2\xa1\n", "a.\xd0\x80 = 1\n"}) {
    INFO(letters);
    CHECK_FALSE(trouble(letters).empty());
  }
  for (const char* header :
       {"[!]", "[=]", "[.a]", "[#", "[\x01]", "[ @]", "[[@]]", "[a.@]", "[a.]", "[]"}) {
    INFO(header);
    CHECK_FALSE(trouble(header).empty());
  }
}
