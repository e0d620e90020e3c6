// Dockerfiles, which are built; .NET, which is recognised so that people learn where they stand.
#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

TEST_CASE("a Dockerfile alone is built by buildah, and the image says how it is started") {
  for (const std::string file : {"Dockerfile", "Containerfile"}) {
    const auto plan = plan_of({{file, "FROM debian\n"}});
    CHECK(plan.runtime == "oci");
    CHECK(plan.problem.empty());
    CHECK(plan.reasons.front() == "Detected Dockerfile (" + file + ").");
    CHECK(plan.output_root == "/home/app/image.tar");
    REQUIRE(plan.steps.size() == 1);
    CHECK(plan.steps[0].command == "/usr/lib/karreg/build-image " + file + " /home/app/image.tar");
    CHECK(plan.steps[0].own_users);
    CHECK(run_of(plan) == "/.karreg/start");
  }
}

TEST_CASE("another Dockerfile may be named, and must be there") {
  const Files files = {{"docker/it's.web", "FROM x\n"}, {"Dockerfile", "FROM y\n"}};
  const auto plan = plan_of(files, {{"CC_DOCKERFILE", "docker/it's.web"}});
  CHECK(plan.reasons.front() == "Detected Dockerfile (docker/it's.web).");
  CHECK(plan.steps.at(0).command ==
        "/usr/lib/karreg/build-image 'docker/it'\\''s.web' /home/app/image.tar");
  CHECK(refusal_of(files, {{"CC_DOCKERFILE", "none"}}, "docker") ==
        "This app has the type docker, but the root of the repository has no Dockerfile, or the "
        "file that CC_DOCKERFILE names. There is: Dockerfile, docker/. Add it, or set APP_FOLDER "
        "to the "
        "folder of the app.");
}

TEST_CASE("the owner's start, hooks and workers go before what the image says") {
  const auto plan = plan_of({{"Dockerfile", "FROM x\n"}},
                            {{"CC_RUN_COMMAND", "./x"}, {"CC_PRE_BUILD_HOOK", "make y"}}, "docker");
  CHECK(plan.runtime == "oci");
  CHECK(run_of(plan) == "/bin/sh -c exec ./x");
  REQUIRE(plan.steps.size() == 2);
  CHECK_FALSE(plan.steps[0].own_users);
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
  CHECK(plan_of(files, {}, "docker").runtime == "oci");
}

TEST_CASE("a start command beside a Dockerfile starts its image in another way") {
  for (const auto& plan : {plan_of({{"Dockerfile", ""}}, {{"CC_RUN_COMMAND", "./x"}}),
                           plan_of({{"Dockerfile", ""}, {"Procfile", "web: ./x\n"}})}) {
    CHECK(plan.runtime == "oci");
    CHECK(run_of(plan) == "/bin/sh -c exec ./x");
  }
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
