// Who says it last: Procfile, karreg.toml, clevercloud/*.json, the environment.
#include "builder/overrides.hpp"

#include "a_tree.hpp"
#include "builder/clever_files.hpp"
#include "builder/karreg_toml.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const std::string node_app = R"({"scripts":{"start":"node a.js"}})";

std::string toml_error(const std::string& text) {
  return refusal_of({{"package.json", node_app}, {"karreg.toml", text}});
}

}  // namespace

TEST_CASE("the app's environment wins over karreg.toml, which wins over the Procfile") {
  Files files = {{"package.json", node_app}, {"Procfile", "web: node p.js\n"}};
  CHECK(run_of(plan_of(files)) == "/bin/sh -c exec node p.js");
  files["karreg.toml"] = "[run]\ncommand = \"node t.js\"\n";
  const auto plan = plan_of(files);
  CHECK(run_of(plan) == "/bin/sh -c exec node t.js");
  CHECK(gives_reason(plan, "Start: node t.js (run.command of karreg.toml)."));
  CHECK(run_of(plan_of(files, {{"CC_RUN_COMMAND", "node e.js"}})) == "/bin/sh -c exec node e.js");
  CHECK(run_of(plan_of(files, {{"CC_RUN_COMMAND", "  "}})) == "/bin/sh -c exec node t.js");
}

TEST_CASE("clevercloud/*.json wins over karreg.toml and yields to the environment") {
  const Files files = {{"index.php", ""},
                       {"a/x", ""},
                       {"b/x", ""},
                       {"c/x", ""},
                       {"karreg.toml", "[run]\nwebroot = \"/a\"\n"},
                       {"clevercloud/php.json", R"({"deploy":{"webroot":"/b"}})"}};
  const auto plan = plan_of(files);
  CHECK(run_of(plan) == "/usr/lib/karreg/serve-php /app/b");
  CHECK(gives_reason(plan,
                     "Start: nginx and PHP-FPM on /app/b (deploy.webroot of "
                     "clevercloud/php.json)."));
  CHECK(run_of(plan_of(files, {{"CC_WEBROOT", "/c"}})) == "/usr/lib/karreg/serve-php /app/c");
}

TEST_CASE("clevercloud/*.json: every key becomes its variable, and lists get commas") {
  std::map<std::string, nlohmann::json> written;
  for (const CleverKey& key : clever_keys())
    written["clevercloud/" + std::string(key.file)][nlohmann::json::json_pointer("/" + [&] {
      std::string path(key.path);
      std::ranges::replace(path, '.', '/');
      return path;
    }())] = nlohmann::json::array({"one", "two"});
  Files files;
  for (const auto& [path, json] : written) files[path] = json.dump();
  const auto read = read_clever_files(MemoryTree(files));
  REQUIRE(read);
  for (const CleverKey& key : clever_keys()) {
    INFO(key.file << " " << key.path);
    CHECK(read->at(std::string(key.variable)).value == "one,two");
  }
}

TEST_CASE("clevercloud/*.json: bad files are refused with their names") {
  CHECK(refusal_of({{"package.json", node_app}, {"clevercloud/php.json", "{"}})
            .starts_with("clevercloud/php.json, line 1, column 2: "));
  CHECK(refusal_of({{"package.json", node_app},
                    {"clevercloud/php.json", R"({"deploy":{"webroot":{"a":1}}})"}}) ==
        "clevercloud/php.json: `deploy.webroot` must be text or a list of texts.");
}

TEST_CASE("karreg.toml chooses type and folder, and its env reaches the plan") {
  const Files files = {
      {"karreg.toml",
       "[build]\ntype = \"static\"\nfolder = \"site\"\n[env]\nCOLOUR = \"blue\"\nDEPTH = 3\n"},
      {"site/index.html", ""},
      {"site/package.json", node_app}};
  const auto plan = plan_of(files);
  CHECK(plan.runtime == "static");
  CHECK(plan.folder == "site");
  CHECK(plan.env.at("COLOUR") == "blue");
  CHECK(plan.env.at("DEPTH") == "3");
  CHECK(plan.reasons.front() ==
        "Detected static site (index.html in site, from build.folder of karreg.toml).");
  // The type that the owner chose for the app is stronger.
  CHECK(plan_of(files, {}, "node").runtime == "node");
}

TEST_CASE("a karreg.toml in the app's folder wins over that of the root") {
  const Files files = {{"karreg.toml", "[run]\ncommand = \"root\"\nbefore = \"r.sh\"\n"},
                       {"app/karreg.toml", "[run]\ncommand = \"folder\"\n"},
                       {"app/package.json", node_app}};
  const auto plan = plan_of(files, {{"APP_FOLDER", "app"}});
  CHECK(run_of(plan) == "/bin/sh -c exec folder");
  CHECK(plan.pre_run == "r.sh");
  CHECK(gives_reason(plan, "Start: folder (run.command of app/karreg.toml)."));
}

TEST_CASE("a variable may stand in env of karreg.toml, too, but its own key wins") {
  const Files files = {{"package.json", node_app},
                       {"karreg.toml",
                        "[env]\nCC_RUN_COMMAND = \"of env\"\nCC_BUILD_COMMAND = \"make\"\n[run]\n"
                        "command = \"of run\"\n"}};
  const auto plan = plan_of(files);
  CHECK(run_of(plan) == "/bin/sh -c exec of run");
  CHECK(gives_reason(plan, "Build: make (CC_BUILD_COMMAND in [env] of karreg.toml)."));
}

TEST_CASE("karreg.toml: every key that is documented is taken") {
  std::map<std::string, std::map<std::string, std::string>> sections;
  std::vector<Variable> all(common_variables().begin(), common_variables().end());
  for (const Language& language : languages())
    all.insert(all.end(), language.variables.begin(), language.variables.end());
  std::erase_if(all, [](const Variable& variable) { return variable.key.empty(); });
  std::string text;
  // What has no key is a line of [env], or has a section of its own.
  std::erase_if(all, [](const Variable& variable) { return variable.key.empty(); });
  for (const Variable& variable : all) {
    const auto dot = variable.key.find('.');
    REQUIRE(dot != std::string_view::npos);
    sections[std::string(variable.key.substr(0, dot))][std::string(variable.key.substr(dot + 1))] =
        variable.name;
  }
  for (const auto& [section, keys] : sections) {
    text += "[" + section + "]\n";
    for (const auto& [key, name] : keys) text += key + " = \"" + name + "\"\n";
  }
  const auto parsed = parse_karreg_toml("karreg.toml", text, all);
  REQUIRE(parsed);
  for (const Variable& variable : all) {
    INFO(variable.name << " " << variable.key);
    CHECK(parsed->given.at(std::string(variable.name)).origin ==
          std::string(variable.key) + " of karreg.toml");
  }
}

TEST_CASE("karreg.toml: what is wrong is said with its place and the way out") {
  CHECK(toml_error("[run\n").starts_with("karreg.toml, line 1, column "));
  CHECK(toml_error("x = 1\n").starts_with(
      "karreg.toml, line 1, column 1: `x` is not known. Known: build, cpp, "));
  CHECK(toml_error("[biuld]\n").find("Did you mean `build`?") != std::string::npos);
  CHECK(
      toml_error("build = 1\n") ==
      "karreg.toml, line 1, column 9: `build` is a section: write [build] and its keys below it.");
  CHECK(toml_error("[run]\n\ncomand = \"x\"\n") ==
        "karreg.toml, line 3, column 1: `comand` is not known in [run]. Did you mean `command`? "
        "Known: before, command, webroot.");
  CHECK(toml_error("[run]\ncommand = [\"x\"]\n") ==
        "karreg.toml, line 2, column 11: `run.command` must be text, in quotes.");
  CHECK(
      toml_error("[versions]\npython = 3.10\n") ==
      "karreg.toml, line 2, column 10: `versions.python` must be text: a number with a point loses "
      "its zeros (3.10 would be 3.1). Put it into quotes.");
  CHECK(toml_error("[build]\ntype = \"noed\"\n")
            .starts_with("karreg.toml, line 2, column 8: there is no type `noed`. Did you mean "
                         "`node`? Known: auto, node, "));
  CHECK(toml_error("[env]\n\"A B\" = \"x\"\n") ==
        "karreg.toml, line 2, column 1: `A B` is no name of a variable: letters, digits and _ make "
        "one, and it does not begin with a digit.");
  CHECK(toml_error("[build]\nfolder = \"../x\"\n") ==
        "build.folder of karreg.toml=../x leaves the repository: give a folder inside it.");
}

TEST_CASE("the owner may give the build less time, never more than it is") {
  const Files files = {{"package.json", node_app}};
  CHECK(plan_of(files).wall_ms == 0);
  const auto plan = plan_of(files, {{"CC_BUILD_TIME_LIMIT", "90s"}});
  CHECK(plan.wall_ms == 90'000);
  CHECK(gives_reason(plan, "Time limit of the build: 90s (CC_BUILD_TIME_LIMIT)."));
  CHECK(refusal_of(files, {{"CC_BUILD_TIME_LIMIT", "soon"}}) ==
        "CC_BUILD_TIME_LIMIT=soon is no length of time: give a number and s, m or h, for example "
        "10m.");
}
