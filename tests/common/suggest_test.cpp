#include "common/suggest.hpp"

#include <catch2/catch.hpp>

using namespace karreg;

TEST_CASE("edits are counted, a swap of neighbours once, case never") {
  CHECK(edit_distance("deploy", "deploy") == 0);
  CHECK(edit_distance("deplyo", "deploy") == 1);
  CHECK(edit_distance("Deploy", "deploy") == 0);
  CHECK(edit_distance("deply", "deploy") == 1);
  CHECK(edit_distance("", "env") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("only a near word is suggested") {
  const std::vector<std::string> known = {"deploy", "delete", "domain", "env"};
  CHECK(nearest("deplyo", known) == "deploy");
  CHECK(nearest("dele", known) == "delete");
  CHECK(nearest("doma", known) == "domain");
  CHECK(nearest("xyzzy", known).empty());
  CHECK(did_you_mean("en", known) == " Did you mean `env`?");
  CHECK(did_you_mean("xyzzy", known).empty());
}
