#include "a_build.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

std::string project(const std::string& name, const std::string& rest) {
  return "cmake_minimum_required(VERSION 3.20)\nproject(" + name + " CXX)\n" + rest;
}
const std::string says_hello = "#include <cstdio>\nint main() { std::puts(\"hello\"); }\n";
const std::string says_other = "#include <cstdio>\nint main() { std::puts(\"other\"); }\n";

}  // namespace

TEST_CASE("a CMake project is configured, built, and its executable found") {
  const auto plan = plan_of({{"CMakeLists.txt", ""}});
  CHECK(plan.runtime == "cpp");
  CHECK(plan.tool == "cmake");
  CHECK(step_names(plan) == "configure|build|executable");
  CHECK(run_of(plan) == "/app/.karreg/start");
  CHECK(plan.reasons.front() == "Detected C and C++ (CMakeLists.txt).");
}

TEST_CASE("an owner's start command needs no executable") {
  CHECK(step_names(plan_of({{"CMakeLists.txt", ""}}, {{"CC_RUN_COMMAND", "build/x"}})) ==
        "configure|build");
  CHECK(refusal_of({{"CMakeLists.txt", ""}}, {{"CC_BUILD_COMMAND", "make"}}) ==
        "CC_BUILD_COMMAND replaces the build by cmake, so that the program is not known: set "
        "CC_RUN_COMMAND too, or add a Procfile with a `web:` line.");
}

TEST_CASE("the only executable is the app, wherever CMake puts it, and objects are dropped") {
  const Built built({{"CMakeLists.txt", project("shop",
                                                "set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "
                                                "${CMAKE_BINARY_DIR}/out)\n"
                                                "add_library(part STATIC part.cpp)\n"
                                                "add_executable(server main.cpp)\n"
                                                "target_link_libraries(server part)\n")},
                     {"part.cpp", "int part() { return 1; }\n"},
                     {"main.cpp", says_hello}});
  INFO(built.output());
  REQUIRE(built.failed_step().empty());
  CHECK(built.start() == "hello\n");
  CHECK(built.has("build/out/server"));
  CHECK_FALSE(built.has("build/CMakeFiles"));
}

TEST_CASE("of several executables the one named like the project is the app, or CC_CPP_TARGET") {
  const Files files = {{"CMakeLists.txt", project("shop",
                                                  "add_executable(tool tool.cpp)\n"
                                                  "add_executable(shop main.cpp)\n")},
                       {"tool.cpp", says_other},
                       {"main.cpp", says_hello}};
  const Built by_project(files);
  INFO(by_project.output());
  REQUIRE(by_project.failed_step().empty());
  CHECK(by_project.start() == "hello\n");
  const Built chosen(files, {{"CC_CPP_TARGET", "tool"}});
  INFO(chosen.output());
  REQUIRE(chosen.failed_step().empty());
  CHECK(chosen.start() == "other\n");
}

TEST_CASE("an executable that the build leaves out does not count, unless it is chosen") {
  const Files files = {
      {"CMakeLists.txt", project("shop",
                                 "add_executable(server main.cpp)\n"
                                 "add_executable(trial EXCLUDE_FROM_ALL main.cpp)\n")},
      {"main.cpp", says_hello}};
  const Built built(files);
  INFO(built.output());
  REQUIRE(built.failed_step().empty());
  CHECK(built.has("build/server"));
  CHECK(built.start() == "hello\n");
  const Built chosen(files, {{"CC_CPP_TARGET", "trial"}});
  CHECK(chosen.failed_step() == "executable");
  CHECK(chosen.output().find(
            "The executable trial was not built: /app/build/trial does not exist.") !=
        std::string::npos);
}

TEST_CASE("no clear executable is a failed build that says what to set") {
  struct Case {
    std::string name, lists;
    Env env;
    std::string message;
  };
  const auto c = GENERATE(values<Case>({
      {"several",
       "add_executable(a main.cpp)\nadd_executable(b main.cpp)\n",
       {},
       "CMakeLists.txt builds several executables: a, b. Choose one with CC_CPP_TARGET=name, or "
       "set "
       "CC_RUN_COMMAND."},
      {"none that is built",
       "add_executable(a EXCLUDE_FROM_ALL main.cpp)\n",
       {},
       "CMakeLists.txt builds no executable. Add one with add_executable(), or set "
       "CC_RUN_COMMAND."},
      {"none",
       "add_library(a STATIC main.cpp)\n",
       {},
       "CMakeLists.txt builds no executable. Add one with add_executable(), or set "
       "CC_RUN_COMMAND."},
      {"an unknown one",
       "add_executable(a main.cpp)\n",
       {{"CC_CPP_TARGET", "z"}},
       "CC_CPP_TARGET=z is not an executable of CMakeLists.txt, which builds: a."},
  }));
  INFO(c.name);
  const Built built({{"CMakeLists.txt", project("shop", c.lists)}, {"main.cpp", says_hello}},
                    c.env);
  INFO(built.output());
  CHECK(built.failed_step() == "executable");
  CHECK(built.output().find(c.message) != std::string::npos);
}
