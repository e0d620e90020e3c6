#include "cli/completion.hpp"

#include "a_session.hpp"
#include "support/programs.hpp"

using namespace karreg;
using namespace karreg::cli;
using namespace karreg::test;

namespace {

/// What bash completes after @p words, the last one unfinished.
std::string completed(const std::string& words) {
  const std::string program = test::program("karreg");
  return must_run("bash -c 'source <(" + program + " completion bash); COMP_WORDS=(" + words +
                  "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _karreg; echo \"${COMPREPLY[*]}\"'");
}

}  // namespace

TEST_CASE("bash completes commands, their commands and their options") {
  CHECK(completed("karreg de") == "delete deploy\n");
  CHECK(completed("karreg env \"\"") == "list set rm import --help -h\n");
  CHECK(completed("karreg deploy --fo") == "--force --format\n");
  CHECK(completed("karreg env import --m") == "--merge\n");
  CHECK(completed("karreg logs --app x --s") == "--since --search\n");
  CHECK(completed("karreg ref") == "\n");
}

TEST_CASE("every shell gets a script, another name is refused") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    SessionFixture fixture;
    CHECK(fixture.run({"completion", shell}) == 0);
    CHECK(fixture.out().find("cancel-deploy") != std::string::npos);
  }
  SessionFixture fixture;
  CHECK(fixture.run({"completion", "tcsh"}) == 2);
}
