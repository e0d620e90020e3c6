#include "builder/procfile.hpp"

#include <catch2/catch.hpp>

#include "builder/shell_line.hpp"

using namespace karreg;
using namespace karreg::builder;

TEST_CASE("a Procfile names processes") {
  const auto parsed = parse_procfile("# how we run\n\nweb:  gunicorn a:b \r\nworker: ./w --n 3: 4");
  REQUIRE(parsed);
  CHECK(*parsed == std::map<std::string, ProcfileLine>{{"web", {"gunicorn a:b", 3}},
                                                       {"worker", {"./w --n 3: 4", 4}}});
}

TEST_CASE("a malformed Procfile is refused with its line") {
  struct Case {
    std::string text, message;
  };
  const auto c = GENERATE(values<Case>({
      {"web: a\njust words\n",
       "Procfile, line 2: expected `name: command`, for example `web: node server.js`."},
      {": a\n", "Procfile, line 1: expected `name: command`, for example `web: node server.js`."},
      {"two words: a\n",
       "Procfile, line 1: expected `name: command`, for example `web: node server.js`."},
      {"\nweb:\n", "Procfile, line 2: `web:` has no command after it."},
  }));
  const auto parsed = parse_procfile(c.text);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().message() == c.message);
}

TEST_CASE("a single command replaces the shell, a list does not") {
  struct Case {
    std::string line, given;
  };
  const auto c = GENERATE(values<Case>({
      {"node a.js", "exec node a.js"},
      {"  node \"a b.js\" --port $PORT ", "exec node \"a b.js\" --port $PORT"},
      {"a && b", "a && b"},
      {"a | b", "a | b"},
      {"X=1 a", "X=1 a"},
      {"exec a", "exec a"},
      {"cd x", "cd x"},
      {"a\nb", "a\nb"},
      {"a > log", "exec a > log"},
  }));
  CHECK(shell_argv(c.line) == std::vector<std::string>{"/bin/sh", "-c", c.given});
}
