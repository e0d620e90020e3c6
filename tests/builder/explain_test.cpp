#include "builder/explain.hpp"

#include "a_tree.hpp"
#include "builder/plan_text.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::builder;
using namespace karreg::test;

TEST_CASE("a plan is told to people with steps, start and reasons") {
  const auto plan =
      plan_of({{"package.json", R"({"dependencies":{"a":"1"},"main":"i.js"})"}, {"i.js", ""}});
  CHECK(
      rendered(plan) ==
      "Type:  node (npm)\n"
      "Step:  install\n"
      "         npm install --omit=dev --no-audit --no-fund\n"
      "Start: /usr/bin/node i.js   (port 8080)\n"
      "Why:\n"
      "  - Detected Node.js (package.json).\n"
      "  - Version: Node.js 20.\n"
      "  - Install: npm install (no package-lock.json; commit one to pin the versions).\n"
      "  - Start: node i.js (main of package.json).\n"
      "  - To override: CC_RUN_COMMAND or a Procfile with a `web:` line (start), CC_BUILD_COMMAND "
      "(build), CC_PRE_BUILD_HOOK and CC_POST_BUILD_HOOK (around it), APP_FOLDER (a subfolder); or "
      "karreg.toml in the repository.\n");
}

TEST_CASE("a folder and a bare repository are explained") {
  const ScratchFolder scratch;
  write_file(scratch / "app/index.html", "");
  CHECK(explain(scratch / "app", {})->runtime == "static");
  must_run("cd " + (scratch / "app").string() +
           " && git init -q && git add -A && git -c user.name=A -c user.email=a@example.org -c "
           "commit.gpgsign=false commit -q -m x && git clone -q --bare . ../bare.git");
  CHECK(explain(scratch / "bare.git", {})->runtime == "static");
  CHECK(explain(scratch / "nope", {}).error().message() ==
        (scratch / "nope").string() + " is not a folder.");
}
