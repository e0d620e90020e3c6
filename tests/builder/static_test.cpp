#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

TEST_CASE("static: the folder of index.html is served") {
  struct Case {
    std::string file, served, reason;
  };
  const auto c = GENERATE(values<Case>({
      {"index.html", "/app", "Start: the file server on /app (index.html)."},
      {"public/index.html", "/app/public",
       "Start: the file server on /app/public (public/index.html)."},
      {"dist/index.html", "/app/dist", "Start: the file server on /app/dist (dist/index.html)."},
  }));
  const auto plan = plan_of({{c.file, "<p>"}});
  CHECK(plan.runtime == "static");
  CHECK(plan.tool == "none");
  CHECK(plan.steps.empty());
  CHECK(run_of(plan) == "/usr/lib/karreg/serve-static " + c.served);
  CHECK(plan.reasons.front() == "Detected static site (" + c.file + ").");
  CHECK(gives_reason(plan, c.reason));
}

TEST_CASE("static: CC_WEBROOT chooses the folder") {
  CHECK(run_of(plan_of({{"docs/a.html", ""}}, {{"CC_WEBROOT", "/docs/"}})) ==
        "/usr/lib/karreg/serve-static /app/docs");
  CHECK(
      refusal_of({{"index.html", ""}}, {{"CC_WEBROOT", "/nope"}}) ==
      "CC_WEBROOT=/nope: there is no such folder in the app. Give a folder of the repository, for "
      "example CC_WEBROOT=/public.");
  CHECK(refusal_of({{"index.html", ""}}, {{"CC_WEBROOT", "../etc"}, {"CC_BUILD_COMMAND", "make"}})
            .starts_with("CC_WEBROOT=../etc: "));
}

TEST_CASE("static: a build command makes the folder that is served") {
  const auto plan =
      plan_of({{"pages/a.md", ""}}, {{"CC_WEBROOT", "/out"}, {"CC_BUILD_COMMAND", "make out"}});
  CHECK(command_of(plan, "build") == "make out");
  CHECK(run_of(plan) == "/usr/lib/karreg/serve-static /app/out");
}
