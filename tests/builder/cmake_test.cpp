#include "a_tree.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::builder;
using namespace karreg::test;

namespace {

/// Runs the steps of the plan for @p files as the build VM does, with /app, /cache and /tmp moved
/// into a scratch folder.
class Built {
 public:
  explicit Built(const Files& files, const Env& env = {}) {
    for (const auto& [name, text] : files) write_file(scratch_ / ("app/" + name), text);
    for (const auto& step : plan_of(files, env).steps) {
      write_file(scratch_ / "step.sh", moved(step.command));
      ran_ = run("cd " + (scratch_ / "app").string() +
                 " && CXX=clang++-19 CMAKE_GENERATOR=Ninja /bin/sh -e " +
                 (scratch_ / "step.sh").string());
      if (ran_.exit_code != 0) {
        failed_step_ = step.name;
        return;
      }
    }
  }
  const std::string& failed_step() const { return failed_step_; }
  /// Of the last step, with the folder moved back, line breaks as blanks.
  std::string output() const {
    std::string text = ran_.output;
    for (auto at = text.find(scratch_.path().string()); at != std::string::npos;
         at = text.find(scratch_.path().string()))
      text.erase(at, scratch_.path().string().size());
    std::string flat;
    for (const char c : text) {
      if (c == '\n' || c == ' ') {
        if (!flat.ends_with(' ')) flat += ' ';
      } else {
        flat += c;
      }
    }
    return flat;
  }
  std::string start() const { return must_run((scratch_ / "app/.karreg/start").string()); }
  bool has(const std::string& file) const {
    return std::filesystem::exists(scratch_ / ("app/" + file));
  }

 private:
  /// @p command with every absolute path of the build VM under the scratch folder.
  std::string moved(std::string command) const {
    for (const std::string path : {"/app", "/cache", "/tmp/karreg-executable"}) {
      const std::string there = scratch_.path().string() + path.substr(path.rfind('/'));
      for (auto at = command.find(path); at != std::string::npos;
           at = command.find(path, at + there.size()))
        command.replace(at, path.size(), there);
    }
    return command;
  }

  ScratchFolder scratch_;
  Ran ran_;
  std::string failed_step_;
};

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
