// Git's configuration files, as git itself reads them.
#include "builder/git_config.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::builder;
using namespace karreg::test;

namespace {

/// "submodule.lib.path=x": as `git config --list` prints them.
std::string listed(std::string_view text) {
  const auto entries = parse_git_config(text);
  if (!entries) FAIL(entries.error().message());
  std::string all;
  for (const GitConfigEntry& entry : *entries) {
    all += entry.section + ".";
    if (!entry.subsection.empty()) all += entry.subsection + ".";
    all += entry.key + "=" + entry.value + "\n";
  }
  return all;
}

std::string error_of(std::string_view text) {
  const auto entries = parse_git_config(text);
  REQUIRE_FALSE(entries);
  CHECK(entries.error().kind() == ErrorKind::invalid);
  return entries.error().message();
}

}  // namespace

TEST_CASE("a file of git's configuration is read as git reads it") {
  const std::vector<std::string> files = {
      "",
      "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = https://example.org/a/b.git\n",
      "[a]b=c\n",
      "[a] b = c # d\n; e\n# f\n\n[A \"B.c\"]\nB = C; d\n",
      "[a]\r\n\tb = c\r\n\td = e\r\n",
      "[a]\nb = \"  c  \"  \nd = x\"y # z\"w   # v\ne = \"\"\nf =\n",
      "[a]\nb = c \\\n  d\\\ne\n",
      R"([submodule "a\"b\\c\d"]
        path = x\\y\"z
        url = "a;b"
)",
      "[a]\nb = one\nb = two\n",
      "\xEF\xBB\xBF[a]\nb = c",
      "[a]\nb = \xC3\xA9t\xC3\xA9",
  };
  const ScratchFolder scratch;
  for (const std::string& text : files) {
    INFO(text);
    write_file(scratch / "config", text);
    CHECK(listed(text) ==
          must_run("git config --file " + (scratch / "config").string() + " --list"));
  }
}

TEST_CASE("a key without a value is true, and characters behind a backslash are themselves") {
  CHECK(listed("[a]\nb\nc # d\n") == "a.b=true\na.c=true\n");
  CHECK(listed("[a]\nb = x\\ty\\nz\n") == "a.b=x\ty\nz\n");
  const auto entries = parse_git_config("# a\n\n[a]\nb = x \\\n y\nc = z\n");
  REQUIRE(entries);
  CHECK(entries->at(0).line == 4);
  CHECK(entries->at(1).line == 6);
}

TEST_CASE("what git does not read is refused with its line") {
  struct Case {
    std::string text;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"a = b\n", "line 1: there is no [section] above it"},
      {"[a]\n= b\n", "line 2: it is neither `name = value`, nor a [section], nor a comment"},
      {"[a]\n1b = c\n", "line 2: it is neither `name = value`, nor a [section], nor a comment"},
      {"[a]\nb c\n", "line 2: there is no = after b"},
      {"[]\n", "line 1: a section has no name"},
      {"[a\n", "line 1: the name of a section does not end with ]"},
      {"[a \"b\"\n", "line 1: the name of a section does not end with ]"},
      {"[submodule lib]\n", "line 1: the name after [submodule stands in no quotes"},
      {"\n[a \"b\n\"]\n", "line 2: a name in quotes does not end on its line"},
      {"[a \"b", "line 1: a name in quotes does not end on its line"},
      {"[a]\nb = \"c\n", "line 2: a value in quotes does not end on its line"},
      {"[a]\nb = \\c\n",
       R"(line 2: after a backslash stands neither \, ", n, t, b, nor the end of the line)"},
      {std::string("[a]\nb = c\0d\n", 11), "line 1: there is a zero byte"},
  };
  const ScratchFolder scratch;
  for (const Case& c : cases) {
    INFO(c.text);
    CHECK(error_of(c.text) == c.message);
    // Git takes these two, and nobody can mean them.
    if (c.text == "a = b\n" || c.text.find('\0') != std::string::npos) continue;
    write_file(scratch / "config", c.text);
    CHECK(run("git config --file " + (scratch / "config").string() + " --list").exit_code != 0);
  }
}
