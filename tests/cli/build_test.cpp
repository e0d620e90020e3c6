// `karreg build --explain`: the builder's decision, on the developer's machine.
#include "a_session.hpp"
#include "common/json.hpp"

using namespace karreg;
using namespace karreg::cli;
using namespace karreg::test;

TEST_CASE("a folder is explained without a platform") {
  SessionFixture s;
  write_file(s.scratch / "shop/package.json", R"({"scripts":{"start":"node server.js"}})");
  CHECK(s.run({"build", "--explain", "shop"}) == 0);
  CHECK(s.out().starts_with(
      "Type:  node (npm)\nStart: /bin/sh -c 'exec node server.js'   (port 8080)\n"));
  CHECK(s.out().ends_with("karreg.toml in the repository.\n"));
}

TEST_CASE("the plan is JSON for scripts, with type and environment of the app") {
  SessionFixture s;
  write_file(s.scratch / "index.html", "");
  write_file(s.scratch / "app.py", "");
  CHECK(s.run({"build", "--explain", "--type", "python", "--env", "CC_RUN_COMMAND=python x.py",
               "--format", "json"}) == 0);
  const auto plan = nlohmann::json::parse(s.out());
  CHECK(plan["runtime"] == "python");
  CHECK(plan["run_command"][2] == "exec python x.py");
}

TEST_CASE("what cannot be built here is shown, and told by the exit code") {
  SessionFixture s;
  write_file(s.scratch / "shop.csproj", "");
  CHECK(s.run({"build", "--explain"}) == 2);
  CHECK(s.out().find("\nCannot be built here: .NET is not in this catalogue") != std::string::npos);
}

TEST_CASE("build: wrong use and what is not there are told with the way out") {
  {
    SessionFixture s;
    CHECK(s.run({"build"}) == 2);
    CHECK(s.err().find("`karreg build --explain` prints what would be done") != std::string::npos);
  }
  {
    SessionFixture s;
    CHECK(s.run({"build", "--explain", "nope"}) == 5);
    CHECK(s.err().find("nope is not a folder.") != std::string::npos);
  }
  {
    SessionFixture s;
    CHECK(s.run({"build", "--explain", "--env", "x"}) == 2);
    CHECK(s.err().find("--env x: give NAME=VALUE.") != std::string::npos);
  }
  {
    SessionFixture s;
    CHECK(s.run({"build", "--explain"}) == 2);
    CHECK(s.err().find("No known way to build this was found") != std::string::npos);
  }
}
