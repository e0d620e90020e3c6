#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const std::string manifest =
    "cabal-version: 2.4\nname: shop\nversion: 1\n\nexecutable shop\n  main-is: Main.hs\n"
    "  build-depends: base\n";
const std::string library = "cabal-version: 2.4\nname: shop\nversion: 1\n\nlibrary\n";

std::string first_line_of(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

TEST_CASE("a .cabal file is built by cabal, and its program is linked") {
  const auto plan = plan_of({{"shop.cabal", manifest}, {"Main.hs", "main = pure ()\n"}});
  CHECK(plan.runtime == "haskell");
  CHECK(plan.tool == "cabal");
  CHECK(plan.problem.empty());
  CHECK(step_names(plan) == "build|executable");
  CHECK(command_of(plan, "build") ==
        "export CABAL_DIR=/cache/cabal\n"
        "cabal update\n"
        "cabal install all:exes --installdir=/app/.karreg/bin --install-method=copy "
        "--overwrite-policy=always");
  CHECK(first_line_of(command_of(plan, "executable")) == "wanted=''");
  CHECK(run_of(plan) == "/app/.karreg/start");
  CHECK(plan.output_root == "/app");
  CHECK(plan.reasons.front() == "Detected Haskell (shop.cabal).");
  CHECK(gives_reason(plan, "Build: cabal install into /app/.karreg/bin."));
  CHECK(gives_reason(plan, "Start: the program that cabal installs."));
}

TEST_CASE("haskell: what decides, and which tool builds") {
  struct Case {
    std::string name;
    Files files;
    std::string tool, file;
  };
  const auto c = GENERATE(values<Case>({
      {"stack.yaml", {{"stack.yaml", ""}, {"package.yaml", ""}}, "stack", "stack.yaml"},
      {"stack before cabal",
       {{"stack.yaml", ""}, {"cabal.project", ""}, {"shop.cabal", manifest}},
       "stack",
       "stack.yaml"},
      {"cabal.project", {{"cabal.project", "packages: web\n"}}, "cabal", "cabal.project"},
      {"words in capitals",
       {{"shop.cabal", "Name: shop\nExecutable shop\n"}},
       "cabal",
       "shop.cabal"},
      {"lines of Windows",
       {{"shop.cabal", "name: shop\r\nexecutable shop\r\n"}},
       "cabal",
       "shop.cabal"},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files);
  CHECK(plan.tool == c.tool);
  CHECK(plan.reasons.front() == "Detected Haskell (" + c.file + ").");
}

TEST_CASE("haskell: stack takes the image's compiler, whatever the snapshot was made for") {
  const auto plan = plan_of({{"stack.yaml", "resolver: lts-22.7\n"}});
  CHECK(command_of(plan, "build") ==
        "export STACK_ROOT=/cache/stack\n"
        "stack install --system-ghc --no-install-ghc --compiler \"ghc-$(ghc --numeric-version)\" "
        "--local-bin-path /app/.karreg/bin");
}

TEST_CASE("haskell: CC_HASKELL_STACK_TARGET chooses the program") {
  const auto plan = [](const Files& files, const std::string& target) {
    return plan_of(files, {{"CC_HASKELL_STACK_TARGET", target}});
  };
  const auto with_cabal = plan({{"shop.cabal", manifest}}, "server");
  CHECK(command_of(with_cabal, "build").find("cabal install exe:server --") != std::string::npos);
  CHECK(first_line_of(command_of(with_cabal, "executable")) == "wanted=server");
  CHECK(gives_reason(with_cabal, "Start: the program server (CC_HASKELL_STACK_TARGET)."));
  const auto with_stack = plan({{"stack.yaml", ""}}, "shop:exe:server");
  CHECK(first_line_of(command_of(with_stack, "executable")) == "wanted=server");
  CHECK(command_of(plan({{"shop.cabal", manifest}}, "$(x)"), "build")
            .find("cabal install 'exe:$(x)' --") != std::string::npos);
}

TEST_CASE("haskell: an owner's start command finds the programs in the PATH") {
  const auto plan = plan_of({{"stack.yaml", ""}, {"Procfile", "web: shop-server\n"}});
  CHECK(step_names(plan) == "build");
  CHECK(plan.env.at("PATH") == "/app/.karreg/bin:/usr/local/bin:/usr/bin:/bin");
  CHECK(run_of(plan) == "/bin/sh -c exec shop-server");
}

TEST_CASE("haskell: CC_BUILD_COMMAND replaces the build and needs a start") {
  const Files files = {{"shop.cabal", library}};
  const auto plan = plan_of(files, {{"CC_BUILD_COMMAND", "make"}, {"CC_RUN_COMMAND", "./shop"}});
  CHECK(step_names(plan) == "build");
  CHECK(command_of(plan, "build") == "make");
  CHECK(refusal_of(files, {{"CC_BUILD_COMMAND", "make"}}) ==
        "CC_BUILD_COMMAND replaces the build by cabal, so that the program is not known: set "
        "CC_RUN_COMMAND too, or add a Procfile with a `web:` line.");
}

TEST_CASE("haskell: a library is refused, and stands behind an app in another language") {
  const std::string message =
      "shop.cabal has no section `executable`: it makes a library, which cannot be started. Add "
      "one, or set CC_RUN_COMMAND.";
  CHECK(refusal_of({{"shop.cabal", library}}) == message);
  CHECK(refusal_of({{"shop.cabal", ""}}) == message);
  CHECK(refusal_of({{"shop.cabal", std::string("\0\xff", 2)}}) == message);
  const std::string node = R"({"scripts":{"start":"node a.js"}})";
  CHECK(plan_of({{"shop.cabal", library}, {"package.json", node}}).tool == "npm");
  CHECK(plan_of({{"shop.cabal", manifest}, {"package.json", node}}).tool == "cabal");
  CHECK(step_names(plan_of({{"shop.cabal", library}}, {{"CC_RUN_COMMAND", "./run"}})) == "build");
}
