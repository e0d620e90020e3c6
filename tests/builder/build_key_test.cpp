#include "builder/build_key.hpp"

#include <set>

#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {
wire::BuildPlan built_plan() {
  return plan_of({{"package.json", R"({"scripts":{"build":"x","start":"node a.js"}})"}});
}
}  // namespace

TEST_CASE("equal tree, plan, image and environment give equal keys") {
  const std::string key = build_key("tree", built_plan(), "image", {{"A", "1"}});
  CHECK(key.size() == 64);
  CHECK(key == build_key("tree", built_plan(), "image", {{"A", "1"}}));
}

TEST_CASE("whatever can change the artifact changes the key") {
  auto other_step = built_plan();
  other_step.steps.front().command += " --fast";
  auto other_run = built_plan();
  other_run.run_command = {"/bin/true"};
  const std::set<std::string> keys = {
      build_key("tree", built_plan(), "image", {{"A", "1"}}),
      build_key("eert", built_plan(), "image", {{"A", "1"}}),
      build_key("tree", built_plan(), "egami", {{"A", "1"}}),
      build_key("tree", built_plan(), "image", {{"A", "2"}}),
      build_key("tree", built_plan(), "image", {}),
      build_key("tree", other_step, "image", {{"A", "1"}}),
      build_key("tree", other_run, "image", {{"A", "1"}}),
  };
  CHECK(keys.size() == 7);
}

TEST_CASE("wording, and variables that name a deployment, do not change the key") {
  auto reworded = built_plan();
  reworded.reasons = {"other words"};
  CHECK(build_key("t", reworded, "i", {}) == build_key("t", built_plan(), "i", {}));
  CHECK(build_key("t", built_plan(), "i",
                  {{"CC_DEPLOYMENT_ID", "1"}, {"CC_HEALTH_CHECK_PATH", "/"}}) ==
        build_key("t", built_plan(), "i", {{"CC_DEPLOYMENT_ID", "2"}}));
}

TEST_CASE("what runs beside the app and later does not change the key") {
  auto with = built_plan();
  with.workers = {{"mail", "node mail.js"}};
  with.release = "node migrate.js";
  with.cron = {{"0 3 * * *", "node clean.js"}};
  CHECK(build_key("t", with, "i", {{"CC_WORKER_COMMAND_0", "node mail.js"}}) ==
        build_key("t", built_plan(), "i",
                  {{"CC_RELEASE_COMMAND", "node migrate.js"}, {"CC_WORKER_RESTART", "no"}}));
}

TEST_CASE("where nothing is run the environment does not change the key") {
  const auto plan = plan_of({{"index.html", ""}});
  CHECK(build_key("t", plan, "i", {{"A", "1"}}) == build_key("t", plan, "i", {{"A", "2"}}));
}
