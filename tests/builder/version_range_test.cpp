#include "builder/version_range.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace karreg;
using namespace karreg::builder;

namespace {

/// Which of @p lines the range allows, with blanks between them.
std::string allowed(const std::string& range, const std::vector<std::string>& lines,
                    Tilde tilde = Tilde::next_minor) {
  const auto parsed = VersionRange::parse(range, tilde);
  if (!parsed) return parsed.error().message();
  std::string text;
  for (const std::string& line : lines)
    if (parsed->allows(line)) text += (text.empty() ? "" : " ") + line;
  return text;
}

}  // namespace

TEST_CASE("ranges of npm choose among lines of Node.js") {
  struct Case {
    std::string range, lines;
  };
  const auto c = GENERATE(values<Case>({
      {"", "16 18 20 22"},
      {"*", "16 18 20 22"},
      {"x", "16 18 20 22"},
      {"20", "20"},
      {"v20.11.1", "20"},
      {"=20.11.1", "20"},
      {"20.x", "20"},
      {"20.*", "20"},
      {"^20.1.0", "20"},
      {"~20.1", "20"},
      {">=18", "18 20 22"},
      {">= 18", "18 20 22"},
      {">18", "20 22"},
      {">18.5.0", "18 20 22"},
      {"<20", "16 18"},
      {"<=20", "16 18 20"},
      {"<20.5", "16 18 20"},
      {">=16 <20", "16 18"},
      {"16 || 22", "16 22"},
      {"16||>=20", "16 20 22"},
      {"16 - 20", "16 18 20"},
      {"16.0.0 - 18.2", "16 18"},
      {"14", ""},
      {">20 <19", ""},
      {"20.0.0-rc.1", "20"},
      {"!=20", "16 18 20 22"},
  }));
  INFO(c.range);
  CHECK(allowed(c.range, {"16", "18", "20", "22"}) == c.lines);
}

TEST_CASE("specifiers of Python, constraints of Composer and of RubyGems") {
  const std::vector<std::string> pythons = {"3.9", "3.11", "3.13"};
  CHECK(allowed("3.11", pythons) == "3.11");
  CHECK(allowed("3.11.4", pythons) == "3.11");
  CHECK(allowed(">=3.10", pythons) == "3.11 3.13");
  CHECK(allowed(">=3.10,<3.13", pythons) == "3.11");
  CHECK(allowed("^3.10", pythons) == "3.11 3.13");
  CHECK(allowed("~=3.11", pythons) == "3.11 3.13");
  CHECK(allowed("~=3.11.2", pythons) == "3.11");
  CHECK(allowed("==3.11.*", pythons) == "3.11");
  CHECK(allowed(">=3.8,!=3.9.0", pythons) == "3.9 3.11 3.13");

  const std::vector<std::string> phps = {"7.4", "8.2", "8.4"};
  CHECK(allowed("^7.3|^8.0", phps, Tilde::next_major) == "7.4 8.2 8.4");
  CHECK(allowed("^8.2", phps, Tilde::next_major) == "8.2 8.4");
  CHECK(allowed("~8.2", phps, Tilde::next_major) == "8.2 8.4");
  CHECK(allowed("~8.2.0", phps, Tilde::next_major) == "8.2");
  CHECK(allowed("~8.2", phps, Tilde::next_minor) == "8.2");

  const std::vector<std::string> rubies = {"2.7", "3.1", "3.3"};
  CHECK(allowed("~> 3.1", rubies) == "3.1 3.3");
  CHECK(allowed("~> 3.1.2", rubies) == "3.1");
  CHECK(allowed("3.3.0", rubies) == "3.3");
}

TEST_CASE("the leftmost number that is not zero stays under a caret") {
  CHECK(allowed("^0.2.3", {"0.1", "0.2", "0.3", "1.0"}) == "0.2");
  CHECK(allowed("^1", {"0.9", "1.0", "1.9", "2.0"}) == "1.0 1.9");
}

TEST_CASE("what is no range is refused with its text") {
  const auto text = GENERATE(as<std::string>(), "latest", ">=", "1.", "1..2", "||", "20 ||", "<>2",
                             "9999999999", "20 - ");
  INFO(text);
  const auto parsed = VersionRange::parse(text);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().kind() == ErrorKind::invalid);
  CHECK(parsed.error().message().find("is no range of versions") != std::string::npos);
}
