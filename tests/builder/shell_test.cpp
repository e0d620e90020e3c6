#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

TEST_CASE("shell: start.sh is started by the program of its first line") {
  struct Case {
    std::string script, run;
  };
  const auto c = GENERATE(values<Case>({
      {"", "/bin/bash start.sh"},
      {"exec ./server\n", "/bin/bash start.sh"},
      {"#!/bin/sh\nexec ./server\n", "/bin/sh start.sh"},
      {"#!/bin/sh", "/bin/sh start.sh"},
      {"#! /bin/sh -e\n", "/bin/sh -e start.sh"},
      {"#!/usr/bin/env\tbash\n", "/usr/bin/env bash start.sh"},
      {"#!/usr/bin/env -S bash -e\r\n", "/usr/bin/env -S bash -e start.sh"},
      {"#!\n", "/bin/bash start.sh"},
      {"#!/bin/\xff\n", "/bin/bash start.sh"},
      {std::string("#!/bin/sh\0\n", 11), "/bin/bash start.sh"},
      {"#!", "/bin/bash start.sh"},
      {"\n#!/bin/sh\n", "/bin/bash start.sh"},
      {"#!/bin/sh\n" + std::string(8192, '#'), "/bin/sh start.sh"},
      {std::string(max_inspected_bytes + 1, '#'), "/bin/bash start.sh"},
  }));
  INFO(c.script.substr(0, 60));
  const auto plan = plan_of({{"start.sh", c.script}});
  CHECK(plan.runtime == "shell");
  CHECK(plan.tool == "none");
  CHECK(plan.steps.empty());
  CHECK(run_of(plan) == c.run);
  CHECK(plan.reasons.front() == "Detected shell (start.sh).");
  CHECK(gives_reason(plan, "Start: " + c.run + " (the file is there)."));
}

TEST_CASE("shell: a start command of the owner, or a Procfile, is enough") {
  const auto by_variable = plan_of({{"server", ""}}, {{"CC_RUN_COMMAND", "./server --port 8080"}});
  CHECK(by_variable.reasons.front() == "Detected shell (CC_RUN_COMMAND).");
  CHECK(run_of(by_variable) == "/bin/sh -c exec ./server --port 8080");
  const auto by_procfile = plan_of({{"Procfile", "web: ./server\n"}});
  CHECK(by_procfile.reasons.front() == "Detected shell (Procfile).");
  CHECK(run_of(by_procfile) == "/bin/sh -c exec ./server");
  CHECK(run_of(plan_of({{"start.sh", ""}, {"Procfile", "web: ./server\n"}})) ==
        "/bin/sh -c exec ./server");
  const auto by_toml = plan_of({{"karreg.toml", "[run]\ncommand = \"./server\"\n"}});
  CHECK(by_toml.reasons.front() == "Detected shell (run.command of karreg.toml).");
}

TEST_CASE("shell: a target of the Makefile is a rule for it") {
  struct Case {
    std::string makefile;
    bool runs, builds;
  };
  const auto c = GENERATE(values<Case>({
      {"run:\n\t./server\n", true, false},
      {"run : build\n\t./server\nbuild:\n", true, true},
      {".PHONY: run\nbuild run::\n\t./server\n", true, true},
      {"all:\n\techo run: it\n\trun: x\n", false, false},
      {"run := ./server\nrun:=x\nrun::=x\nrun = a:b\n", false, false},
      {".PHONY: run build\n", false, false},
      {"running:\nrun-tests:\nprerun:\n", false, false},
      {"# run: starts it\n", false, false},
      {"", false, false},
  }));
  INFO(c.makefile);
  const Files files = {{"Makefile", c.makefile}};
  if (!c.runs) {
    CHECK(refusal_of(files).starts_with("No known way to build this was found"));
    return;
  }
  const auto plan = plan_of(files);
  CHECK(plan.runtime == "shell");
  CHECK(run_of(plan) == "/usr/bin/make run");
  CHECK(gives_reason(plan, "Start: make run (Makefile)."));
  CHECK(step_names(plan) == (c.builds ? "build" : ""));
  CHECK(plan.tool == (c.builds ? "make" : "none"));
}

TEST_CASE("shell: the Makefile is the one that make reads") {
  const auto plan = plan_of({{"GNUmakefile", "run:\nbuild:\n"}, {"Makefile", "all:\n"}});
  CHECK(plan.reasons.front() == "Detected shell (GNUmakefile).");
  CHECK(gives_reason(plan, "Build: make build (GNUmakefile)."));
  CHECK(plan_of({{"makefile", "run:\n"}, {"Makefile", "all:\n"}}).runtime == "shell");
  CHECK(refusal_of({{"makefile", "all:\n"}, {"Makefile", "run:\n"}})
            .starts_with("No known way to build this was found"));
}

TEST_CASE("shell: CC_BUILD_COMMAND, else the target build") {
  const Files files = {{"start.sh", ""}, {"Makefile", "build:\n\tcc -o server server.c\n"}};
  CHECK(command_of(plan_of(files), "build") == "make build");
  const auto own = plan_of(files, {{"CC_BUILD_COMMAND", "./build.sh"}});
  CHECK(command_of(own, "build") == "./build.sh");
  CHECK(own.tool == "none");
}

TEST_CASE("shell: a type without anything to start is refused with the way out") {
  CHECK(refusal_of({{"Makefile", "all:\n"}}, {}, "shell") ==
        "This app has the type shell, but the root of the repository has no start.sh, or a "
        "Makefile with a target `run`. There is: Makefile. Add it, or set APP_FOLDER to the folder "
        "of the app.");
}

TEST_CASE("shell: what a language can start wins over start.sh, and the type shell over that") {
  const Files files = {{"start.sh", "#!/bin/sh\n"}, {"app.py", ""}};
  CHECK(plan_of(files).runtime == "python");
  CHECK(run_of(plan_of(files, {}, "shell")) == "/bin/sh start.sh");
  CHECK(plan_of({{"start.sh", ""}, {"index.html", ""}}).runtime == "shell");
  CHECK(plan_of({{"Procfile", "web: ./x\n"}, {"index.html", ""}}).runtime == "static");
  CHECK(plan_of({{"Makefile", "run:\n"}, {"Dockerfile", ""}}).runtime == "oci");
}
