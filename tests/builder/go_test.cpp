#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const std::string program = "package main\n\nfunc main() {}\n";
const std::string library = "package shop\n";
const std::string module = "module example.org/shop\n\ngo 1.22\n";

/// What `go build` is told to build.
std::string packages_of(const wire::BuildPlan& plan) {
  const std::string command = command_of(plan, "build");
  return command.substr(command.rfind("\n") + 1);
}

std::string built(const std::string& what) {
  return "go build -trimpath -ldflags=-s -o /app/.karreg/start " + what;
}

}  // namespace

TEST_CASE("a Go module becomes one program, and its downloads stay in the cache") {
  const auto plan = plan_of({{"go.mod", module}, {"main.go", program}});
  CHECK(plan.runtime == "go");
  CHECK(plan.tool == "go");
  CHECK(step_names(plan) == "build");
  CHECK(command_of(plan, "build") ==
        "export GOMODCACHE=/cache/go/mod GOCACHE=/cache/go/build "
        "GOTOOLCHAIN=${GOTOOLCHAIN:-auto}\n" +
            built("."));
  CHECK(run_of(plan) == "/app/.karreg/start");
  CHECK(plan.output_root == "/app");
  CHECK(plan.problem.empty());
  CHECK(plan.reasons.front() == "Detected Go (go.mod).");
  CHECK(gives_reason(plan,
                     "go.mod asks for Go 1.22 or newer: go fetches that toolchain itself when the "
                     "image's is older."));
  CHECK(gives_reason(plan, "Start: the program of the root."));
}

TEST_CASE("go: which package is the program") {
  struct Case {
    std::string name;
    Files files;
    std::string package, reason;
  };
  const auto c = GENERATE(values<Case>({
      {"the root before cmd/",
       {{"go.mod", module}, {"server.go", program}, {"cmd/tool/main.go", program}},
       ".",
       "Build: go build . (package main)."},
      {"the only one in cmd/",
       {{"go.mod", module}, {"shop.go", library}, {"cmd/web/main.go", program}},
       "./cmd/web",
       "Build: go build ./cmd/web (the only one in cmd/)."},
      {"the one named like the module",
       {{"go.mod", module}, {"cmd/admin/main.go", program}, {"cmd/shop/main.go", program}},
       "./cmd/shop",
       "Also in cmd/: admin. CC_GO_PKG chooses another one."},
      {"a major version is no name",
       {{"go.mod", "module example.org/shop/v2 // the second\n"},
        {"cmd/admin/main.go", program},
        {"cmd/shop/main.go", program}},
       "./cmd/shop",
       "Build: go build ./cmd/shop (named like the module)."},
      {"else the first",
       {{"go.mod", module}, {"cmd/worker/main.go", program}, {"cmd/web/main.go", program}},
       "./cmd/web",
       "Also in cmd/: worker. CC_GO_PKG chooses another one."},
      {"cmd/ itself",
       {{"go.mod", module}, {"cmd/main.go", program}},
       "./cmd",
       "Build: go build ./cmd (package main)."},
      {"a folder of cmd/ without a main is none",
       {{"go.mod", module}, {"cmd/common/c.go", "package common\n"}, {"cmd/web/m.go", program}},
       "./cmd/web",
       "Build: go build ./cmd/web (the only one in cmd/)."},
      {"a generator beside a library is no program",
       {{"go.mod", module},
        {"gen.go", "// Copyright.\n//go:build ignore\n\n" + program},
        {"cmd/web/m.go", program}},
       "./cmd/web",
       "Build: go build ./cmd/web (the only one in cmd/)."},
      {"neither is an old generator",
       {{"go.mod", module},
        {"gen.go", "// +build ignore\n\n" + program},
        {"cmd/web/m.go", program}},
       "./cmd/web",
       "Build: go build ./cmd/web (the only one in cmd/)."},
      {"nor a library that holds the text of a program",
       {{"go.mod", module},
        {"t.go", "package shop\n\nconst text = `\npackage main\n`\n"},
        {"cmd/web/m.go", program}},
       "./cmd/web",
       "Build: go build ./cmd/web (the only one in cmd/)."},
      {"nor a test",
       {{"go.mod", module}, {"a_test.go", program}, {"cmd/web/m.go", program}},
       "./cmd/web",
       "Build: go build ./cmd/web (the only one in cmd/)."},
      {"comments before the package",
       {{"go.mod", module},
        {"m.go", "/* Licence:\npackage of rights */\n// Text\npackage main // shop\n"}},
       ".",
       "Build: go build . (package main)."},
      {"lines of Windows",
       {{"go.mod", "module example.org/shop\r\n"}, {"m.go", "package main\r\nfunc main() {}\r\n"}},
       ".",
       "Build: go build . (package main)."},
      {"a workspace has the first module with a program",
       {{"go.work", "go 1.22\n\nuse (\n\t./lib // shared\n\t\"./services/web\"\n)\n"},
        {"lib/go.mod", "module example.org/lib\n"},
        {"lib/lib.go", library},
        {"services/web/go.mod", "module example.org/web\n"},
        {"services/web/main.go", program}},
       "./services/web",
       "Detected Go (go.work)."},
      {"a workspace's module with cmd/",
       {{"go.work", "use ./web\n"},
        {"web/go.mod", "module example.org/web\n"},
        {"web/cmd/admin/m.go", program},
        {"web/cmd/web/m.go", program}},
       "./web/cmd/web",
       "Build: go build ./web/cmd/web (named like the module)."},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files);
  CHECK(packages_of(plan) == built(c.package));
  CHECK(run_of(plan) == "/app/.karreg/start");
  CHECK(gives_reason(plan, c.reason));
}

TEST_CASE("go: CC_GO_PKG is a folder, a file or an import path") {
  const Files files = {{"go.mod", module}, {"main.go", program}, {"cmd/admin/main.go", program}};
  const auto package = [&](const std::string& given) {
    return packages_of(plan_of(files, {{"CC_GO_PKG", given}}));
  };
  CHECK(package("./cmd/admin") == built("./cmd/admin"));
  CHECK(package("cmd/admin/") == built("./cmd/admin"));
  CHECK(package("main.go") == built("main.go"));
  CHECK(package("example.org/shop/cmd/admin") == built("example.org/shop/cmd/admin"));
  CHECK(package("../x; y") == built("'../x; y'"));
  CHECK(gives_reason(plan_of(files, {{"CC_GO_PKG", "cmd/admin"}}),
                     "Build: go build ./cmd/admin (CC_GO_PKG)."));
}

TEST_CASE("go: files without a module are built together, without their tests") {
  const auto plan = plan_of({{"hello.go", program}, {"hello_test.go", program}});
  CHECK(plan.reasons.front() == "Detected Go (hello.go).");
  CHECK(packages_of(plan) == built("$(ls ./*.go | grep -v _test.go)"));
  CHECK(packages_of(plan_of({{"a.go", program}}, {{"CC_GO_PKG", "a.go"}})) == built("a.go"));
}

TEST_CASE("go: an owner's start command finds the programs in bin/") {
  const Files files = {{"go.mod", module},
                       {"cmd/shop/main.go", program},
                       {"cmd/worker/main.go", program},
                       {"Procfile", "web: shop --port $PORT\n"}};
  const auto plan = plan_of(files);
  CHECK(packages_of(plan) == "go build -trimpath -ldflags=-s -o /app/bin/ ./cmd/shop ./cmd/worker");
  CHECK(plan.env.at("PATH") == "/app/bin:/usr/local/bin:/usr/bin:/bin");
  CHECK(run_of(plan) == "/bin/sh -c exec shop --port $PORT");
  CHECK(gives_reason(
      plan, "The programs are in /app/bin, which is in the PATH, those of cmd/, too: worker."));
}

TEST_CASE("go: a start command without a program to build") {
  const auto plan =
      plan_of({{"go.mod", module}, {"server/main.go", program}}, {{"CC_RUN_COMMAND", "./run.sh"}});
  CHECK(plan.steps.empty());
  CHECK(gives_reason(
      plan,
      "No `package main` was found in the root, in cmd/ or in the modules of go.work: nothing is "
      "built. CC_GO_PKG names a package to build."));
}

TEST_CASE("go: CC_BUILD_COMMAND replaces the build and needs a start") {
  const Files files = {{"go.mod", module}, {"main.go", program}};
  const auto plan =
      plan_of(files, {{"CC_BUILD_COMMAND", "make"}, {"CC_RUN_COMMAND", "./out/shop"}});
  CHECK(step_names(plan) == "build");
  CHECK(command_of(plan, "build") == "make");
  CHECK(refusal_of(files, {{"CC_BUILD_COMMAND", "make"}}) ==
        "CC_BUILD_COMMAND replaces the build by go, so that the program is not known: set "
        "CC_RUN_COMMAND too, or add a Procfile with a `web:` line.");
}

TEST_CASE("go: the version of the image") {
  const Files files = {{"go.mod", module}, {"main.go", program}};
  CHECK(plan_of(files, {{"CC_GO_VERSION", "1.24"}}).problem.empty());
  CHECK(plan_of(files, {{"CC_GO_VERSION", "1.9"}}).problem ==
        "CC_GO_VERSION asks for Go 1.9, which cannot be had here. There are: 1.24; CC_GO_VERSION "
        "chooses one of them.");
}

TEST_CASE("go: without a program it is refused, and what a broken manifest says is passed over") {
  const std::string none =
      "No `package main` was found in the root, in cmd/ or in the modules of go.work. Set "
      "CC_GO_PKG to the package of the program, for example ./server, or set CC_RUN_COMMAND.";
  const auto manifest = GENERATE(values<Files>({
      {{"go.mod", module}, {"shop.go", library}},
      {{"go.mod", ""}},
      {{"go.mod", "module"}},
      {{"go.mod", "module (\n"}, {"cmd/x", "a file"}},
      {{"go.mod", std::string("\0\xff module /v\n", 13)}, {"empty.go", ""}},
      {{"go.work", "use ../outside\nuse /etc\nuse ./nowhere\nuse (\n"}},
  }));
  CHECK(refusal_of(manifest) == none);
}

TEST_CASE("go: what stands beside other languages") {
  const std::string manifest = R"({"scripts":{"start":"node a.js"}})";
  CHECK(plan_of({{"go.mod", module}, {"main.go", program}, {"package.json", manifest}}).runtime ==
        "go");
  // A module of tools: nothing of it starts.
  CHECK(plan_of({{"go.mod", module}, {"tools.go", library}, {"package.json", manifest}}).tool ==
        "npm");
  CHECK(plan_of({{"main.go", program}, {"package.json", manifest}}).tool == "npm");
  CHECK(plan_of({{"main.go", program}, {"package.json", manifest}}, {}, "golang").runtime == "go");
}
