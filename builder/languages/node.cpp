// Node.js: package.json decides.
//   install  `npm ci` with a lock file, else `npm install`; none without dependencies. Development
//            dependencies come along only when there is a build script, and are pruned after it.
//   build    CC_BUILD_COMMAND, else scripts.build.
//   start    scripts.start, else `main`, else server.js, else index.js.
// The start script's own line is run, without npm: npm is absent from the run image and would cost
// each instance a second process and a slower start. Scripts it calls by `npm run` are put in their
// place; npm's variables of name and version are given.
#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::string_view manifest_name = "package.json";
constexpr std::string_view npm_options = " --no-audit --no-fund";
constexpr int deepest_script = 8;

bool has_members(const nlohmann::json& manifest, const char* section) {
  const auto found = manifest.find(section);
  return found != manifest.end() && (found->is_object() || found->is_array()) && !found->empty();
}

std::optional<std::string> lock_file(const SourceTree& tree) {
  for (const char* name : {"package-lock.json", "npm-shrinkwrap.json"})
    if (tree.has_file(name)) return name;
  return std::nullopt;
}

/// "serve" of "npm run serve", "start" of "npm start"; nothing for any other command.
std::optional<std::string> called_script(const std::string& command) {
  for (const std::string_view verb : {"npm run-script ", "npm run ", "npm "}) {
    if (!command.starts_with(verb)) continue;
    const std::string name = trimmed(command.substr(verb.size()));
    const bool plain = !name.empty() && name.find_first_of(" \t;&|$`\"'") == std::string::npos;
    const bool short_form = verb == "npm ";
    if (plain && (!short_form || name == "start" || name == "test")) return name;
    return std::nullopt;
  }
  return std::nullopt;
}

/// @p line with every `npm run x` between its `&&` replaced by the script x, and without `npx `.
Result<std::string> without_npm(const nlohmann::json& manifest, const std::string& line,
                                int depth) {
  std::string result;
  std::string_view rest = line;
  while (!rest.empty()) {
    const auto end = rest.find("&&");
    std::string command = trimmed(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
    if (const auto called = called_script(command)) {
      auto script = text_at(manifest, manifest_name, "scripts", *called);
      if (!script) return script.error();
      if (script->empty() || depth == deepest_script)
        return Error(ErrorKind::invalid,
                     "package.json: the start script calls `" + command + "`, and scripts." +
                         *called + (script->empty() ? " does not exist." : " calls itself."));
      auto inner = without_npm(manifest, *script, depth + 1);
      if (!inner) return inner.error();
      command = *inner;
    } else if (command.starts_with("npx ")) {
      command = trimmed(command.substr(4));
    } else if (command.starts_with("npm ")) {
      return Error(ErrorKind::invalid,
                   "package.json: the start script calls `" + command +
                       "`, but npm is not there when the app runs. Call the program itself, or set "
                       "CC_RUN_COMMAND; what belongs to the build goes into scripts.build.");
    }
    result += (result.empty() ? "" : " && ") + command;
  }
  return result;
}

Result<Start> start_of(const Inspection& about, const nlohmann::json& manifest, bool builds) {
  auto script = text_at(manifest, manifest_name, "scripts", "start");
  if (!script) return script.error();
  if (!script->empty()) {
    auto before = text_at(manifest, manifest_name, "scripts", "prestart");
    if (!before) return before.error();
    const std::string said = before->empty() ? *script : *before + " && " + *script;
    auto line = without_npm(manifest, said, 0);
    if (!line) return line.error();
    return Start{
        shell_argv(*line),
        *line + (before->empty() ? " (scripts.start of package.json)"
                                 : " (scripts.prestart and scripts.start of package.json)")};
  }

  auto main = text_at(manifest, manifest_name, "", "main");
  if (!main) return main.error();
  // `npm init` writes a main that need not exist; a build may make it.
  std::string file = *main;
  if (file.starts_with("./")) file.erase(0, 2);
  if (!file.empty() && (builds || about.tree.has_file(file)))
    return Start{{"/usr/bin/node", file}, "node " + file + " (main of package.json)"};
  for (const char* usual : {"server.js", "index.js"})
    if (about.tree.has_file(usual))
      return Start{{"/usr/bin/node", usual}, std::string("node ") + usual + " (the file is there)"};
  return Error(
      ErrorKind::invalid,
      std::string("Nothing says how to start this app: package.json has no scripts.start") +
          (file.empty() ? " and no main" : ", its main (" + file + ") does not exist") +
          ", and there is no server.js or index.js. Add \"scripts\": {\"start\": \"node "
          "your-file.js\"} to package.json, or set CC_RUN_COMMAND.");
}

Result<LanguagePlan> plan(const Inspection& about) {
  auto manifest = read_json_object(about.tree, manifest_name);
  if (!manifest) return manifest.error();
  auto build_script = text_at(*manifest, manifest_name, "scripts", "build");
  if (!build_script) return build_script.error();
  auto engine = text_at(*manifest, manifest_name, "engines", "node");
  if (!engine) return engine.error();

  LanguagePlan result;
  result.tool = "npm";
  result.env = {{"NODE_ENV", "production"},
                {"PATH", "/app/node_modules/.bin:/usr/local/bin:/usr/bin:/bin"}};

  for (const char* field : {"name", "version"})
    if (auto value = text_at(*manifest, manifest_name, "", field); value && !value->empty())
      result.env[std::string("npm_package_") + field] = *value;

  const bool builds = about.build_command.has_value() || !build_script->empty();
  const bool has_dev = has_members(*manifest, "devDependencies");
  const bool installs = has_members(*manifest, "dependencies") ||
                        has_members(*manifest, "optionalDependencies") ||
                        has_members(*manifest, "workspaces") || (builds && has_dev);
  if (installs) {
    const auto lock = lock_file(about.tree);
    const std::string verb = lock ? "npm ci" : "npm install";
    result.steps.push_back(
        {"install", verb + (builds ? " --include=dev" : " --omit=dev") + std::string(npm_options)});
    result.reasons.push_back(
        "Install: " + verb +
        (lock ? " (" + *lock + ")." : " (no package-lock.json; commit one to pin the versions)."));
    for (const char* other : {"yarn.lock", "pnpm-lock.yaml", "bun.lock"})
      if (about.tree.has_file(other))
        result.reasons.push_back(std::string(other) +
                                 " was seen and is not used: npm installs the dependencies.");
  }
  if (about.build_command) {
    result.steps.push_back({"build", *about.build_command});
    result.reasons.push_back("Build: " + *about.build_command + " (CC_BUILD_COMMAND).");
  } else if (!build_script->empty()) {
    result.steps.push_back({"build", "npm run build"});
    result.reasons.push_back("Build: " + *build_script + " (scripts.build of package.json).");
  }
  if (installs && builds && has_dev) {
    result.steps.push_back({"prune", "npm prune --omit=dev" + std::string(npm_options)});
    result.reasons.emplace_back("Development dependencies are removed after the build.");
  }
  if (!engine->empty())
    result.reasons.push_back("package.json asks for Node.js " + *engine +
                             " (engines.node); the platform's Node.js is used.");
  result.start = start_of(about, *manifest, builds);
  return result;
}

}  // namespace

Language node() {
  return {"node", "Node.js", "package.json",
          [](const SourceTree& tree, const AppSettings&) -> std::optional<std::string> {
            if (tree.has_file(manifest_name)) return std::string(manifest_name);
            return std::nullopt;
          },
          plan};
}

}  // namespace karreg::builder::languages_of
