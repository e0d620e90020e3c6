// Recognised, so that people learn where they stand, and not built.
#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

TEST_CASE("a Dockerfile alone is understood, and what to do instead is said") {
  for (const std::string file : {"Dockerfile", "Containerfile"}) {
    const auto plan = plan_of({{file, "FROM debian\n"}});
    CHECK(plan.runtime == "docker");
    CHECK(plan.reasons.front() == "Detected Dockerfile (" + file + ").");
    CHECK(plan.problem ==
          "Images are not built from a Dockerfile yet. What it installs and starts can be said "
          "with CC_BUILD_COMMAND and CC_RUN_COMMAND, or in karreg.toml, with a type of the "
          "language.");
  }
}

TEST_CASE("a Dockerfile beside anything else is only mentioned, unless it is the type") {
  struct Case {
    Files files;
    std::string runtime;
  };
  const auto c = GENERATE(values<Case>({
      {{{"package.json", R"({"scripts":{"start":"node a.js"}})"}}, "node"},
      {{{"index.html", ""}}, "static"},
      {{{"start.sh", ""}}, "shell"},
      {{{"Procfile", "web: ./x\n"}}, "shell"},
      {{{"Makefile", ""}, {"main.c", ""}}, "cpp"},
  }));
  INFO(c.runtime);
  Files files = c.files;
  files["Dockerfile"] = "FROM debian\n";
  const auto plan = plan_of(files);
  CHECK(plan.runtime == c.runtime);
  CHECK(plan.problem.empty());
  CHECK(gives_reason(plan,
                     "Also seen: Dockerfile (Dockerfile). An app of the type docker would use it "
                     "instead."));
  CHECK_FALSE(plan_of(files, {}, "docker").problem.empty());
}

TEST_CASE("a start command beside a Dockerfile is an app of the type shell") {
  const auto plan = plan_of({{"Dockerfile", ""}}, {{"CC_RUN_COMMAND", "./x"}});
  CHECK(plan.runtime == "shell");
  CHECK(plan.problem.empty());
}

TEST_CASE(".NET is recognised by its project files, and what to do instead is said") {
  for (const std::string file :
       {"Shop.csproj", "Shop.fsproj", "Shop.vbproj", "Shop.sln", "Shop.slnx"}) {
    INFO(file);
    const auto plan = plan_of({{file, ""}, {"Program.cs", ""}});
    CHECK(plan.runtime == "dotnet");
    CHECK(plan.reasons.front() == "Detected .NET (" + file + ").");
    CHECK(run_of(plan) == "/app/out/Shop");
    CHECK(plan.problem ==
          ".NET is not in this catalogue of images: Debian has no packages of it. A program that "
          "was published with `--self-contained` for linux-x64 can be committed and started with "
          "CC_RUN_COMMAND, with the type shell.");
  }
}

TEST_CASE(".NET: a project is asked before a solution, and wins over what serves it assets") {
  CHECK(plan_of({{"All.sln", ""}, {"Shop.csproj", ""}}).reasons.front() ==
        "Detected .NET (Shop.csproj).");
  CHECK(plan_of({{"Shop.csproj", ""}, {"package.json", R"({"scripts":{"build":"vite build"}})"}})
            .runtime == "dotnet");
  CHECK(refusal_of({{"src/Shop/Shop.csproj", ""}}).starts_with("No known way to build this"));
  CHECK(refusal_of({{"src/Shop.csproj", ""}}).find("set APP_FOLDER=src (src/Shop.csproj)") !=
        std::string::npos);
}

TEST_CASE(".NET: a published program is started by the type shell, as the message says") {
  const auto plan =
      plan_of({{"Shop.csproj", ""}, {"out/Shop", ""}}, {{"CC_RUN_COMMAND", "out/Shop"}}, "shell");
  CHECK(plan.runtime == "shell");
  CHECK(plan.problem.empty());
  CHECK(run_of(plan) == "/bin/sh -c exec out/Shop");
}
