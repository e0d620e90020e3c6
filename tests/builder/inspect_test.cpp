#include "builder/inspect.hpp"

#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {
const std::string index_page = "<p>";
const std::string node_app = R"({"scripts":{"start":"node a.js"}})";
}  // namespace

TEST_CASE(
    "a tree without a known build tool is refused with what is there, the way out and what was "
    "looked for") {
  const std::string message = refusal_of({{"README.md", ""}, {"src/main.c", ""}});
  CHECK(message.starts_with(
      "No known way to build this was found in the root of the repository. There is: README.md, "
      "src/. Set APP_FOLDER to the folder of the app, say how to start it (CC_RUN_COMMAND, a "
      "Procfile with a `web:` line, or karreg.toml), or add a file that says what it is: PHP "
      "(composer.json or index.php); "));
  for (const Language& language : languages())
    CHECK(message.find(" " + std::string(language.title) + " (" + std::string(language.looked_for) +
                       ")") != std::string::npos);
}

TEST_CASE("an app in a subfolder is pointed at") {
  const std::string message = refusal_of({{"README.md", ""}, {"web/package.json", node_app}});
  CHECK(message.find("There is: README.md, web/. If the app is in a subfolder, set APP_FOLDER=web "
                     "(web/package.json). What was looked for: ") != std::string::npos);
}

TEST_CASE("a long list of files is cut") {
  Files files;
  for (char c = 'a'; c <= 'z'; ++c) files[std::string(1, c)] = "";
  CHECK(refusal_of(files).find("There is: a, b, c, d, e, f, g, h, i, j, k, l and 14 more.") !=
        std::string::npos);
  CHECK(refusal_of({}).find("There is: nothing.") != std::string::npos);
}

TEST_CASE("the first language of the table wins, the others are told") {
  const auto plan =
      plan_of({{"package.json", node_app}, {"requirements.txt", ""}, {"index.html", ""}});
  CHECK(plan.runtime == "node");
  CHECK(gives_reason(plan,
                     "Also seen: requirements.txt (Python). An app of the type python would use it "
                     "instead."));
  CHECK(gives_reason(plan,
                     "Also seen: index.html (static site). An app of the type static would use it "
                     "instead."));
}

TEST_CASE("the owner's type wins over the order") {
  CHECK(plan_of({{"package.json", node_app}, {"index.html", index_page}}, {}, "static").runtime ==
        "static");
}

TEST_CASE("a tree of another type is refused with the way out") {
  struct Case {
    std::string variant;
    Files files;
    std::string message;
  };
  const auto c = GENERATE(values<Case>({
      {"python",
       {{"package.json", node_app}},
       "This app has the type python, but the root of the repository has no requirements.txt, "
       "pyproject.toml, Pipfile, setup.py, manage.py, wsgi.py, app.py or main.py. There is: "
       "package.json. "
       "package.json says "
       "Node.js: push to an app of the type node (karreg create --type node) or auto."},
      {"cpp",
       {{"x", ""}},
       "This app has the type cpp, but the root of the repository has no CMakeLists.txt, "
       "meson.build, configure.ac, or a Makefile beside sources. There is: x. Add "
       "it, or set APP_FOLDER to the folder of the app."},
      {"node",
       {{"back/package.json", node_app}, {"index.html", ""}},
       "This app has the type node, but the root of the repository has no package.json. There is: "
       "back/, "
       "index.html. If the app is in a subfolder, set APP_FOLDER=back (back/package.json)."},
      {"cobol",
       {{"x", ""}},
       "The type `cobol` of this app is not known. Known types: auto, node, deno, python, php, "
       "ruby, "
       "go, rust, java, elixir, haskell, cpp, perl, r, static, shell, docker, dotnet."},
  }));
  CHECK(refusal_of(c.files, {}, c.variant) == c.message);
}

TEST_CASE("APP_FOLDER is the app") {
  const Files files = {{"index.html", ""}, {"apps/web/package.json", node_app}};
  for (const char* given : {"apps/web", "/apps/web/", "./apps//web"}) {
    const auto plan = plan_of(files, {{"APP_FOLDER", given}});
    CHECK(plan.runtime == "node");
    CHECK(plan.reasons.front() == "Detected Node.js (package.json in apps/web, from APP_FOLDER).");
  }
  CHECK(refusal_of(files, {{"APP_FOLDER", "nope"}}) ==
        "APP_FOLDER=nope: the repository has no such folder. There is: apps/, index.html.");
  CHECK(refusal_of(files, {{"APP_FOLDER", "../x"}}) ==
        "APP_FOLDER=../x leaves the repository: give a folder inside it.");
  CHECK(plan_of(files, {{"APP_FOLDER", " "}}).runtime == "static");
}

TEST_CASE("hooks stand around the steps and before the start") {
  const auto plan = plan_of({{"package.json", R"({"scripts":{"build":"x","start":"node a.js"}})"}},
                            {{"CC_PRE_BUILD_HOOK", "./before.sh"},
                             {"CC_POST_BUILD_HOOK", "./after.sh"},
                             {"CC_PRE_RUN_HOOK", "./migrate.sh"}});
  CHECK(step_names(plan) == "CC_PRE_BUILD_HOOK|build|CC_POST_BUILD_HOOK");
  CHECK(command_of(plan, "CC_PRE_BUILD_HOOK") == "./before.sh");
  CHECK(command_of(plan, "CC_POST_BUILD_HOOK") == "./after.sh");
  CHECK(plan.pre_run == "./migrate.sh");
  CHECK(gives_reason(plan, "Before each start: ./migrate.sh (CC_PRE_RUN_HOOK)."));
}

TEST_CASE("CC_RUN_COMMAND wins over a Procfile, which wins over the language") {
  const Files files = {{"package.json", node_app},
                       {"Procfile", "web: node p.js\nworker: node w.js\n"}};
  CHECK(run_of(plan_of(files)) == "/bin/sh -c exec node p.js");
  const auto plan = plan_of(files, {{"CC_RUN_COMMAND", "node r.js"}});
  CHECK(run_of(plan) == "/bin/sh -c exec node r.js");
  CHECK(gives_reason(plan, "Start: node r.js (CC_RUN_COMMAND)."));
  CHECK(gives_reason(plan, "Worker worker: node w.js (worker: of Procfile)."));
}

TEST_CASE("a start command from the owner cures an app that says none") {
  CHECK(run_of(plan_of({{"package.json", "{}"}}, {{"CC_RUN_COMMAND", "node x.js"}})) ==
        "/bin/sh -c exec node x.js");
}

TEST_CASE("CC_BUILD_COMMAND takes the place of the build script") {
  const auto plan = plan_of({{"package.json", R"({"scripts":{"build":"x","start":"y"}})"}},
                            {{"CC_BUILD_COMMAND", "make"}});
  CHECK(step_names(plan) == "build");
  CHECK(command_of(plan, "build") == "make");
}

TEST_CASE("a manifest over the size limit is refused") {
  CHECK(refusal_of({{"package.json", std::string(max_inspected_bytes + 1, ' ')}}) ==
        "package.json is larger than 1024 KiB");
}

TEST_CASE("every plan is a function of the tree alone and names how to override it") {
  for (const Files& files : {Files{{"package.json", node_app}}, Files{{"app.py", ""}},
                             Files{{"CMakeLists.txt", ""}}, Files{{"index.html", ""}}}) {
    const auto plan = plan_of(files);
    CHECK(nlohmann::json(plan) == nlohmann::json(plan_of(files)));
    CHECK(
        plan.reasons.back() ==
        "To override: CC_RUN_COMMAND or a Procfile with a `web:` line (start), CC_BUILD_COMMAND "
        "(build), CC_PRE_BUILD_HOOK and CC_POST_BUILD_HOOK (around it), APP_FOLDER (a subfolder); "
        "or karreg.toml in the repository.");
  }
}

TEST_CASE("names and values of a tenant reach no terminal and no database as they are") {
  const std::string message = refusal_of({{"a\x1b[2Jb\n\xff", ""}});
  CHECK(message.find("There is: a\xEF\xBF\xBD[2Jb \xEF\xBF\xBD. ") != std::string::npos);
  CHECK(refusal_of({{"package.json", R"({"scripts":{"start":"node \u0000a.js"}})"}}) ==
        "the start command has a zero byte, or bytes that are no UTF-8: neither can be part of a "
        "command. Remove them from the file or the variable that it comes from.");
  CHECK(refusal_of({{"Procfile", "web: node \xff.js\n"}}).starts_with("the start command has "));
}
