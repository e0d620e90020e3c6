#include "cli/env_file.hpp"

#include <catch2/catch.hpp>

using namespace karreg;
using namespace karreg::cli;
using Variables = std::map<std::string, std::string>;

TEST_CASE("a .env file is read as people write it") {
  struct Case {
    std::string text;
    Variables variables;
  };
  const auto c = GENERATE(values<Case>({
      {"A=1\nB = two words \n", {{"A", "1"}, {"B", "two words"}}},
      {"# comment\n\nexport A=1\n", {{"A", "1"}}},
      {"A=1 # why\nURL=http://x/#part\n", {{"A", "1"}, {"URL", "http://x/#part"}}},
      {"A='lit $x \\n'\n", {{"A", "lit $x \\n"}}},
      {"A=\"x\\n\\\"y\\\" \\$z \\\\ \\q\"\n", {{"A", "x\n\"y\" $z \\ \\q"}}},
      {"A=\"two\nlines\" # end\nB=2", {{"A", "two\nlines"}, {"B", "2"}}},
      {"A=\nB=\"\"\r\nC=x\r\n", {{"A", ""}, {"B", ""}, {"C", "x"}}},
      {"A=1\nA=2\n", {{"A", "2"}}},
      {"", {}},
  }));
  INFO(c.text);
  const auto read = parse_env_file(c.text);
  REQUIRE(read);
  CHECK(*read == c.variables);
}

TEST_CASE("a malformed .env file is refused with its line") {
  struct Case {
    std::string text, message;
  };
  const auto c = GENERATE(values<Case>({
      {"A=1\njust words\n", "line 2: expected NAME=VALUE."},
      {"1A=2\n", "line 1: expected NAME=VALUE."},
      {"A-B=2\n", "line 1: expected NAME=VALUE."},
      {"A=\"x\nB=1\n", "line 1: the quote \" is not closed."},
      {"A='x' y\n", "line 1: there is text after the closing quote."},
      {"A\n", "line 1: expected NAME=VALUE."},
  }));
  const auto read = parse_env_file(c.text);
  REQUIRE_FALSE(read);
  CHECK(read.error().message() == c.message);
}

TEST_CASE("what is printed is read back") {
  for (const std::string& value :
       std::vector<std::string>{"", "plain", "two\nlines", "q\"u'o\\te", "$HOME", "a # b", "\t"}) {
    const auto read = parse_env_file(env_line("NAME", value));
    REQUIRE(read);
    CHECK(read->at("NAME") == value);
  }
}

TEST_CASE("JSON gives variables as an object or a list") {
  CHECK(parse_env_json(R"({"A":"1"})").value() == Variables{{"A", "1"}});
  CHECK(parse_env_json(R"([{"name":"A","value":"1"}])").value() == Variables{{"A", "1"}});
  for (const char* bad : {"", "3", R"({"A":1})", R"({"A B":"1"})", R"([{"name":"A"}])", "[1]"})
    CHECK(parse_env_json(bad).error().message() ==
          "expected a JSON object of texts, {\"NAME\": \"value\"}, or a list of {\"name\": ..., "
          "\"value\": ...}.");
}

TEST_CASE("an assignment has a name and any value") {
  CHECK(parse_assignment("A=b=c").value() == std::pair<std::string, std::string>{"A", "b=c"});
  CHECK(parse_assignment("A=").value().second.empty());
  CHECK(parse_assignment("=x").error().message() ==
        "`=x` is not NAME=VALUE with a name of letters, digits and _.");
  CHECK_FALSE(parse_assignment("A"));
}
