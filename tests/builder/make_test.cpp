// Make, Meson and Autotools. The steps run for real; Meson and Autoconf are played by scripts.
#include "a_build.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const std::string says_hello = "#include <stdio.h>\nint main(void) { puts(\"hello\"); }\n";
const std::string says_other = "#include <stdio.h>\nint main(void) { puts(\"other\"); }\n";

/// What `meson` answers here; `compile` copies true into the build folder.
const std::string meson = R"sh(#!/bin/sh -e
case "$1 $3" in
  "setup "*) mkdir -p "$2" ;;
  "compile "*)
    for name in shop tool; do
      printf '#include <stdio.h>\nint main(void) { puts("%s"); }\n' $name > "$3/$name.c"
      cc -o "$3/$name" "$3/$name.c"
    done ;;
  "introspect --projectinfo") echo '{"descriptive_name": "PROJECT"}' ;;
  "introspect --targets")
    cat <<JSON
[{"name": "part", "type": "shared library", "build_by_default": true, "filename": ["$2/libpart.so"]},
 {"name": "shop", "type": "executable", "build_by_default": true, "filename": ["$2/shop"]},
 {"name": "trial", "type": "executable", "build_by_default": false, "filename": ["$2/trial"]}MORE]
JSON
    ;;
esac
)sh";
const std::string also_tool =
    R"(, {"name": "tool", "type": "executable", "build_by_default": true, "filename": ["$2/tool"]})";

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  return text.replace(text.find(what), what.size(), by);
}
Files meson_of(const std::string& project, const std::string& more) {
  return {{"meson", replaced(replaced(meson, "PROJECT", project), "MORE", more)}};
}

/// A configure that writes a Makefile which installs @p install.
std::string configure(const std::string& package, const std::string& install) {
  return "#!/bin/sh\nPACKAGE_NAME='GNU Shop'\nPACKAGE_TARNAME='" + package +
         "'\nfor word in \"$@\"; do case $word in --prefix=*) prefix=${word#*=} ;; esac; done\n"
         "printf 'all: shop tool\\ninstall:\\n" +
         install + "' \"$prefix\" \"$prefix\" > Makefile\n";
}
const std::string only_sbin = "\\tmkdir -p %s/sbin\\n\\tcp shop %s/sbin/\\n";
const std::string both =
    "\\tmkdir -p %s/bin\\n\\tcp shop tool %s/bin/\\n\\techo x > '\"$prefix\"'/bin/readme\\n";

struct Outcome {
  std::string name;
  Files files, tools;
  Env env;
  std::string failed, says;
};

void check(const Outcome& c) {
  INFO(c.name);
  const Built built(c.files, c.env, c.tools);
  INFO(built.output());
  REQUIRE(built.failed_step() == c.failed);
  if (c.failed.empty())
    CHECK(built.start() == c.says + "\n");
  else
    CHECK((built.output().find(c.says) != std::string::npos));
}

}  // namespace

TEST_CASE("c and c++: what decides, and the tool") {
  struct Case {
    Files files;
    std::string tool, file, steps;
  };
  const auto c = GENERATE(values<Case>({
      {{{"CMakeLists.txt", ""}, {"meson.build", ""}},
       "cmake",
       "CMakeLists.txt",
       "configure|build|executable"},
      {{{"meson.build", ""}, {"configure.ac", ""}},
       "meson",
       "meson.build",
       "configure|build|executable"},
      {{{"configure.ac", ""}, {"Makefile", ""}},
       "autotools",
       "configure.ac",
       "configure|build|executable"},
      {{{"configure", ""}}, "autotools", "configure", "configure|build|executable"},
      {{{"Makefile", ""}, {"main.c", ""}}, "make", "Makefile", "build|executable"},
      {{{"GNUmakefile", ""}, {"src/main.cpp", ""}}, "make", "GNUmakefile", "build|executable"},
      {{{"makefile", ""}, {"source/main.cxx", ""}}, "make", "makefile", "build|executable"},
  }));
  INFO(c.file);
  const auto plan = plan_of(c.files);
  CHECK(plan.runtime == "cpp");
  CHECK(plan.tool == c.tool);
  CHECK(plan.reasons.front() == "Detected C and C++ (" + c.file + ").");
  CHECK(step_names(plan) == c.steps);
  CHECK(run_of(plan) == "/app/.karreg/start");
  CHECK(gives_reason(plan, "Start: the program that " + c.tool +
                               " builds (CC_CPP_TARGET chooses among several)."));
}

TEST_CASE("c and c++: a Makefile without sources beside it is not of C") {
  CHECK(inspected({{"Makefile", "all:\n"}, {"deep/down/main.c", ""}})
            .error()
            .message()
            .starts_with("No known way to build this was found"));
  CHECK(plan_of({{"Makefile", "run:\n"}, {"main.zig", ""}}).runtime == "shell");
}

TEST_CASE("c and c++: other languages with sources or a Makefile of their own win") {
  struct Case {
    Files files;
    std::string runtime;
  };
  const auto c = GENERATE(values<Case>({
      {{{"go.mod", "module x\n"},
        {"main.go", "package main\nfunc main() {}\n"},
        {"Makefile", ""},
        {"part.c", ""}},
       "go"},
      {{{"Cargo.toml", "[package]\nname = \"x\"\n"},
        {"src/main.rs", ""},
        {"Makefile", ""},
        {"src/part.c", ""}},
       "rust"},
      {{{"app.py", ""}, {"Makefile", ""}, {"fast.c", ""}}, "python"},
      {{{"package.json", R"({"scripts":{"start":"node a.js"}})"}, {"CMakeLists.txt", ""}}, "node"},
      {{{"package.json", "{}"}, {"CMakeLists.txt", ""}}, "cpp"},
      {{{"start.sh", ""}, {"Makefile", ""}, {"main.c", ""}}, "cpp"},
      {{{"index.html", ""}, {"Makefile", ""}, {"main.c", ""}}, "cpp"},
  }));
  CHECK(plan_of(c.files).runtime == c.runtime);
}

TEST_CASE("c and c++: CC_CPP_TARGET, a start command and a build command of the owner") {
  const Files files = {{"Makefile", ""}, {"main.c", ""}};
  CHECK(gives_reason(plan_of(files, {{"CC_CPP_TARGET", "server"}}),
                     "Start: the program server (CC_CPP_TARGET)."));
  Files with_toml = files;
  with_toml["karreg.toml"] = "[cpp]\ntarget = \"server\"\n";
  CHECK(gives_reason(plan_of(with_toml), "Start: the program server (cpp.target of karreg.toml)."));
  for (const char* file : {"CMakeLists.txt", "meson.build", "configure", "Makefile"}) {
    const auto plan =
        plan_of({{file, ""}, {"main.c", ""}}, {{"CC_RUN_COMMAND", "./server -p 8080"}});
    CHECK((step_names(plan) == "build" || step_names(plan) == "configure|build"));
    CHECK(run_of(plan) == "/bin/sh -c exec ./server -p 8080");
  }
  CHECK(refusal_of(files, {{"CC_BUILD_COMMAND", "./build.sh"}}) ==
        "CC_BUILD_COMMAND replaces the build by make, so that the program is not known: set "
        "CC_RUN_COMMAND too, or add a Procfile with a `web:` line.");
  const auto own = plan_of(files, {{"CC_BUILD_COMMAND", "./build.sh"}, {"CC_RUN_COMMAND", "./x"}});
  CHECK(step_names(own) == "build");
  CHECK(command_of(own, "build") == "./build.sh");
}

TEST_CASE("make: the program that was made is the app") {
  check(GENERATE(values<Outcome>({
      {"a rule",
       {{"Makefile", "server: main.c\n\t$(CC) -o $@ $<\n"}, {"main.c", says_hello}},
       {},
       {},
       "",
       "hello"},
      {"an implicit rule",
       {{"Makefile", "all: main\n"}, {"main.c", says_hello}},
       {},
       {},
       "",
       "hello"},
      {"a make below, and a target that is never up to date",
       {{"Makefile", "all:\n\t$(MAKE) -C src\n"},
        {"src/Makefile", "bin/server: main.c\n\tmkdir -p bin\n\t$(CC) -o $@ $<\n"},
        {"src/main.c", says_hello}},
       {},
       {},
       "",
       "hello"},
      {"a name with a blank",
       {{"Makefile", "all:\n\t$(CC) -o 'the server' main.c\n"}, {"main.c", says_hello}},
       {},
       {},
       "",
       "hello"},
      {"a copy of it, scripts, objects and libraries do not count",
       {{"Makefile",
         "all: main.o\n\t$(CC) -o server main.o\n\tmkdir -p bin\n\tcp server bin/\n\t"
         "printf '#!/bin/sh\\n' > run\n\tchmod +x run\n\tcp server lib.so\n\tcp server lib.so.1\n"},
        {"main.c", says_hello}},
       {},
       {},
       "",
       "hello"},
      {"CC_CPP_TARGET",
       {{"Makefile", "all: one two\n"}, {"one.c", says_hello}, {"two.c", says_other}},
       {},
       {{"CC_CPP_TARGET", "two"}},
       "",
       "other"},
      {"several",
       {{"Makefile", "all: one two\n"}, {"one.c", says_hello}, {"two.c", says_other}},
       {},
       {},
       "executable",
       "make built several programs: one, two. Choose one with CC_CPP_TARGET=name, or set "
       "CC_RUN_COMMAND."},
      {"an unknown one",
       {{"Makefile", "all: one\n"}, {"one.c", says_hello}},
       {},
       {{"CC_CPP_TARGET", "it's"}},
       "executable",
       "CC_CPP_TARGET=it's is not among the programs that make built: one."},
      {"none",
       {{"Makefile", "all: one.o\n"}, {"one.c", says_hello}},
       {},
       {},
       "executable",
       "make built no program. Set CC_RUN_COMMAND."},
      {"a failed build",
       {{"Makefile", "all: one\n"}, {"one.c", "int main( {"}},
       {},
       {},
       "build",
       "error"},
  })));
}

TEST_CASE("make: what marks the beginning of the build does not stay in the app") {
  const Built built({{"Makefile", "all: main\n"}, {"main.c", says_hello}});
  REQUIRE(built.failed_step().empty());
  CHECK_FALSE(built.has(".karreg/before-make"));
}

TEST_CASE("meson: the only executable, the one named like the project, or CC_CPP_TARGET") {
  check(GENERATE(values<Outcome>({
      {"the only one that is built",
       {{"meson.build", ""}},
       meson_of("other name", ""),
       {},
       "",
       "shop"},
      {"named like the project",
       {{"meson.build", ""}},
       meson_of("shop", also_tool),
       {},
       "",
       "shop"},
      {"CC_CPP_TARGET",
       {{"meson.build", ""}},
       meson_of("shop", also_tool),
       {{"CC_CPP_TARGET", "tool"}},
       "",
       "tool"},
      {"several",
       {{"meson.build", ""}},
       meson_of("other name", also_tool),
       {},
       "executable",
       "Meson built several programs: shop, tool. Choose one with CC_CPP_TARGET=name, or set "
       "CC_RUN_COMMAND."},
      {"an unknown one",
       {{"meson.build", ""}},
       meson_of("shop", also_tool),
       {{"CC_CPP_TARGET", "trial"}},
       "executable",
       "CC_CPP_TARGET=trial is not among the programs that Meson built: shop, tool."},
  })));
}

TEST_CASE("autotools: what is installed into bin or sbin is the app") {
  const Files sources = {{"shop.c", says_hello}, {"tool.c", says_other}};
  const auto with = [&](Files more) {
    more.insert(sources.begin(), sources.end());
    return more;
  };
  check(GENERATE_COPY(values<Outcome>({
      {"only one, in sbin",
       with({{"configure", configure("nothing", only_sbin)}}),
       {},
       {},
       "",
       "hello"},
      {"named like the package",
       with({{"configure", configure("tool", both)}}),
       {},
       {},
       "",
       "other"},
      {"CC_CPP_TARGET",
       with({{"configure", configure("tool", both)}}),
       {},
       {{"CC_CPP_TARGET", "shop"}},
       "",
       "hello"},
      {"several",
       with({{"configure", configure("nothing", both)}}),
       {},
       {},
       "executable",
       "make install built several programs: shop, tool. Choose one with CC_CPP_TARGET=name, or "
       "set CC_RUN_COMMAND."},
      {"none",
       with({{"configure", configure("shop", "\\t: %s %s\\n")}}),
       {},
       {},
       "executable",
       "make install built no program. Set CC_RUN_COMMAND."},
      {"configure is made by autoreconf",
       with({{"configure.ac", configure("tool", both)}}),
       {{"autoreconf", "#!/bin/sh\ntest \"$1\" = --install && cp configure.ac configure\n"}},
       {},
       "",
       "other"},
      {"configure fails",
       with({{"configure", "echo no SSL; exit 1\n"}}),
       {},
       {},
       "configure",
       "no SSL"},
  })));
}
