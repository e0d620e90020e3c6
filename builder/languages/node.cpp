// Node.js and Bun: package.json decides.
//   manager  CC_NODE_BUILD_TOOL, `packageManager`, the lock file, `engines`, else npm.
//   install  from the lock file if there is one; nothing without dependencies. Development
//            dependencies come along when there is a build, and are pruned after it, unless the
//            start needs them.
//   build    CC_BUILD_COMMAND, else scripts.build, else that of Nx.
//   start    scripts.start, else what a framework makes, else `main`, else server.js, index.js ...
//   site     what Vite, Astro, Docusaurus and their like make is served by nginx, without Node.js.
// The start script's own line is run, without npm: npm is absent from the run image and would cost
// each instance a second process and a slower start. Scripts it calls by `npm run` are put in their
// place; npm's variables of name and version are given.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "builder/languages/node/kept_modules.hpp"
#include "builder/languages/node/package.hpp"
#include "builder/languages/node/site.hpp"
#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

using node::Manager;
using node::Package;
using node::Site;

constexpr std::array variables = {
    Variable{"CC_NODE_VERSION", "versions.node", "the version of Node.js: `22`, `>=20 <23`"},
    Variable{"CC_NODE_BUILD_TOOL", "node.tool",
             "the package manager: npm, pnpm, yarn, yarn-berry or bun"},
    Variable{"CC_NODE_DEV_DEPENDENCIES", "node.dev-dependencies",
             "`install` keeps development dependencies in the app"},
    Variable{"CC_WEBROOT", "run.webroot", "the folder that the build of a site makes"},
};

constexpr std::array start_files = {"server.js",  "index.js",  "server.mjs", "index.mjs",
                                    "server.cjs", "index.cjs", "app.js",     "main.js"};
constexpr std::array bun_files = {"index.ts", "server.ts", "index.tsx", "index.js", "server.js"};

/// What a framework's build makes, when no script says how to start it.
struct Framework {
  const char* package;
  const char* command;
};
constexpr std::array frameworks = {
    Framework{"next", "next start --hostname 0.0.0.0 --port 8080"},
    Framework{"nuxt", "node .output/server/index.mjs"},
    Framework{"@remix-run/serve", "remix-serve ./build/server/index.js"},
    Framework{"@react-router/serve", "react-router-serve ./build/server/index.js"},
    Framework{"@sveltejs/adapter-node", "node build/index.js"},
    Framework{"@astrojs/node", "node dist/server/entry.mjs"},
    Framework{"@nestjs/core", "node dist/main.js"},
};

/// What .nvmrc and its like say: a version, or the name of a long-term release.
std::optional<VersionWish> wish_in(const SourceTree& tree, const char* file) {
  std::string line = first_line(tree, file);
  struct Name {
    const char* name;
    const char* version;
  };
  // https://github.com/nodejs/Release: code names of long-term releases.
  constexpr std::array names = {Name{"lts/fermium", "14"},  Name{"lts/gallium", "16"},
                                Name{"lts/hydrogen", "18"}, Name{"lts/iron", "20"},
                                Name{"lts/jod", "22"},      Name{"lts/krypton", "24"}};
  for (const char* any : {"lts/*", "lts", "node", "stable", "latest", "current", "system", "*"})
    if (line == any) return std::nullopt;
  for (const Name& each : names)
    if (line == each.name) line = each.version;
  if (line.empty()) return std::nullopt;
  return VersionWish{line, file};
}

std::optional<VersionWish> version_wish(const SourceTree& tree, const Package& package) {
  if (!package.engine("node").empty())
    return VersionWish{package.engine("node"), "engines.node of package.json"};
  if (!package.volta_node().empty())
    return VersionWish{package.volta_node(), "volta.node of package.json"};
  for (const char* file : {".nvmrc", ".node-version"})
    if (auto wish = wish_in(tree, file)) return wish;
  return tool_version(tree, {"nodejs", "node"});
}

/// A folder's app within a repository of several (npm's `workspaces`, Nx, Turborepo).
struct Member {
  std::string folder;
  Package package;
};

/// The folders that `workspaces` or pnpm-workspace.yaml name: "apps/*" and plain ones.
std::vector<std::string> patterns_of(const SourceTree& tree, const Package& package) {
  std::vector<std::string> patterns = package.workspaces();
  if (const auto text = tree.read("pnpm-workspace.yaml", max_inspected_bytes)) {
    std::string_view rest = *text;
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      std::string line = trimmed(rest.substr(0, end));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (!line.starts_with("- ")) continue;
      std::erase(line, '"');
      std::erase(line, '\'');
      patterns.push_back(trimmed(std::string_view(line).substr(2)));
    }
  }
  return patterns;
}

std::vector<Member> startable_members(const SourceTree& tree, const Package& package) {
  std::vector<Member> members;
  const auto look = [&](const std::string& folder) {
    if (!tree.has_file(join_path(folder, node::manifest_name))) return;
    auto read = Package::read(tree, join_path(folder, node::manifest_name));
    if (read && !read->script("start").empty()) members.push_back({folder, std::move(*read)});
  };
  for (const std::string& pattern : patterns_of(tree, package)) {
    if (!pattern.ends_with("/*")) {
      look(pattern);
      continue;
    }
    const std::string parent = pattern.substr(0, pattern.size() - 2);
    for (const Entry& entry : tree.list(parent))
      if (entry.kind == EntryKind::folder) look(join_path(parent, entry.name));
  }
  return members;
}

class Planner {
 public:
  Planner(const Inspection& about, const Package& package, Manager manager)
      : about_(about), package_(package), manager_(std::move(manager)) {}

  LanguagePlan plan() {
    plan_.tool = manager_.name;
    plan_.env = {{"NODE_ENV", "production"},
                 {"PATH", "/app/node_modules/.bin:/usr/local/bin:/usr/bin:/bin"}};
    for (const auto& [field, value] : package_.about()) plan_.env["npm_package_" + field] = value;
    if (uses_bun())
      choose_version(plan_, about_, "bun", "Bun", "", std::nullopt);
    else
      choose_version(plan_, about_, "node", "Node.js", "CC_NODE_VERSION",
                     version_wish(about_.tree, package_));
    if (!about_.start) site_ = node::site_of(about_, package_);
    if (site_) {
      plan_site();
      return std::move(plan_);
    }
    plan_.start = start();
    steps(keeps_development());
    return std::move(plan_);
  }

 private:
  bool uses_bun() const { return manager_.name == "bun"; }

  bool builds() const { return about_.build_command() || !build_line().empty(); }

  std::string build_line() const {
    if (!package_.script("build").empty()) {
      // `nx build` alone asks which project.
      if (const std::string project = nx_project();
          !project.empty() && package_.script("build") == "nx build")
        return "npx nx run " + project + ":build:production";
      return run_script("build");
    }
    return site_ ? site_->build : "";
  }

  std::string run_script(const std::string& name) const {
    return manager_.program + " run " + name;
  }

  /// Whether what starts the app is a development dependency.
  bool keeps_development() {
    if (const auto said = about_.settings.find("CC_NODE_DEV_DEPENDENCIES")) {
      if (said->value == "install") {
        plan_.reason("Development dependencies stay (" + said->origin + ").");
        return true;
      }
      return false;
    }
    const std::string line = about_.start ? about_.start->value : start_line_;
    const std::string tool = package_.development_tool_of(line);
    if (tool.empty()) return false;
    plan_.reason("Development dependencies stay: the start needs " + tool + ".");
    return true;
  }

  void steps(bool keep_development) {
    const bool wants_development = package_.has_development() && (builds() || keep_development);
    const bool installs =
        package_.has_dependencies() || wants_development || !package_.workspaces().empty();
    if (installs) {
      std::string command;
      if (!manager_.package.empty()) {
        command = "npm install --global --prefix /tmp/karreg-tools --no-audit --no-fund " +
                  shell_quote(manager_.package) + "\n";
        plan_.reason("Package manager: " + manager_.package + " (" + manager_.reason + ").");
      }
      std::string install = manager_.install(builds() || keep_development);
      if (manager_.name == "npm" && !manager_.lock_file.empty())
        install = node::keeping_modules(package_, manager_.lock_file, install);
      plan_.step("install", command + install);
      plan_.reason("Install: " + install_words() + ".");
      for (const std::string& other : manager_.unused)
        plan_.reason(other + " was seen and is not used: " + manager_.name +
                     " installs the dependencies.");
    }
    if (!add_build_command(plan_, about_) && !build_line().empty()) {
      plan_.step("build", build_line());
      plan_.reason("Build: " +
                   (package_.script("build").empty() || build_line() != run_script("build")
                        ? build_line()
                        : package_.script("build") + " (scripts.build of package.json)") +
                   ".");
    }
    const std::string prune = manager_.prune();
    if (installs && builds() && package_.has_development() && !keep_development && !site_ &&
        !prune.empty()) {
      plan_.step("prune", prune);
      plan_.reason("Development dependencies are removed after the build.");
    }
  }

  std::string install_words() const {
    const bool npm = manager_.name == "npm";
    if (manager_.lock_file.empty())
      return (npm ? "npm install (no package-lock.json"
                  : manager_.name + " install (no lock file") +
             std::string("; commit one to pin the versions)");
    return (npm ? "npm ci (" : manager_.name + " install (") + manager_.lock_file + ")";
  }

  void plan_site() {
    std::string why = site_->tool + " makes files that need no server of their own";
    if (const auto webroot = about_.settings.find("CC_WEBROOT")) {
      auto folder = folder_of_app(about_, *webroot, true);
      if (!folder) {
        plan_.start = folder.error();
        return;
      }
      site_->folder = std::move(*folder);
      why = webroot->origin;
    }
    steps(true);
    const std::string folder = "/app/" + site_->folder;
    const std::string usual = "/app/" + site_->usual;
    std::string command;
    // Settings are read as text, which may mean something else than it seems to.
    if (usual != folder)
      command = fmt::format(
          "if [ ! -f {0}/index.html ] && [ -f {1}/index.html ]; then\n  rm -rf {0}\n"
          "  mkdir -p \"$(dirname {0})\"\n  mv {1} {0}\nfi\n",
          shell_quote(folder), shell_quote(usual));
    command +=
        fmt::format("test -f {}/index.html || {{\n  echo {} >&2\n  exit 1\n}}", shell_quote(folder),
                    shell_quote("The build made no " + site_->folder +
                                "/index.html. Set CC_WEBROOT to the folder that it makes."));
    plan_.step("site", command);
    plan_.build_runtime = plan_.runtime;
    plan_.runtime = "static";
    plan_.output_root = folder;
    plan_.env.clear();
    plan_.env["PATH"] =
        "/app/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    std::vector<std::string> server = {static_server};
    if (site_->single_page) server.emplace_back("--single-page");
    server.emplace_back("/app");
    plan_.start = Start{server, "the file server on " + site_->folder + " (" + why + ")"};
  }

  Start line(const std::string& command, const std::string& origin) {
    start_line_ = command;
    return {shell_argv(command), command + " (" + origin + ")"};
  }

  Result<Start> start() {
    const std::string nx = nx_project();
    if (!nx.empty())
      if (auto made = nx_start(nx)) return *made;
    if (!package_.script("start").empty()) return of_script(package_, "");
    for (const Framework& each : frameworks)
      if (package_.needs(each.package))
        return line(each.command, std::string(each.package) + " is a dependency");
    if (auto file = main_file()) return *file;
    if (auto member = of_member()) return *member;
    for (const char* file : start_files)
      if (about_.tree.has_file(file)) return of_file(file, "the file is there");
    if (uses_bun())
      for (const char* file : bun_files)
        if (about_.tree.has_file(file)) return of_file(file, "the file is there");
    const std::string& main = package_.main();
    return Error(
        ErrorKind::invalid,
        std::string("Nothing says how to start this app: package.json has no scripts.start") +
            (main.empty() ? " and no main" : ", its main (" + main + ") does not exist") +
            ", and there is no server.js or index.js. Add \"scripts\": {\"start\": \"node "
            "your-file.js\"} to package.json, or set CC_RUN_COMMAND.");
  }

  Result<Start> of_script(const Package& package, const std::string& folder) {
    const std::string& before = package.script("prestart");
    const std::string said =
        before.empty() ? package.script("start") : before + " && " + package.script("start");
    auto plain = node::without_manager(package, said, uses_bun());
    if (!plain) return plain.error();
    const std::string file = join_path(folder, node::manifest_name);
    const std::string origin = before.empty() ? "scripts.start of " + file
                                              : "scripts.prestart and scripts.start of " + file;
    return line(folder.empty() ? *plain : "cd " + shell_quote(folder) + " && " + *plain, origin);
  }

  Start of_file(const std::string& file, const std::string& why) {
    const std::string program = uses_bun() ? "bun" : "node";
    start_line_ = program + " " + file;
    return {{"/usr/bin/" + program, file}, program + " " + file + " (" + why + ")"};
  }

  /// `npm init` writes a main that need not exist; a build may make it.
  std::optional<Start> main_file() {
    std::string file = package_.main();
    if (file.starts_with("./")) file.erase(0, 2);
    if (file.empty()) return std::nullopt;
    if (about_.tree.has_file(file) || (builds() && !nx_or_turbo()))
      return of_file(file, "main of package.json");
    if (about_.tree.has_file(file + ".js")) return of_file(file + ".js", "main of package.json");
    return std::nullopt;
  }

  bool nx_or_turbo() const {
    return about_.tree.has_file("nx.json") || about_.tree.has_file("turbo.json");
  }

  std::optional<Result<Start>> of_member() {
    const auto members = startable_members(about_.tree, package_);
    if (members.empty()) return std::nullopt;
    if (members.size() == 1) return of_script(members.front().package, members.front().folder);
    std::string listed;
    for (const Member& each : members) listed += (listed.empty() ? "" : ", ") + each.folder;
    return Error(ErrorKind::invalid,
                 "This repository has several packages with a start script: " + listed +
                     ". Say which one is this app with CC_RUN_COMMAND, for example `cd " +
                     members.front().folder + " && node server.js`.");
  }

  /// The project that `nx` takes when none is named.
  std::string nx_project() const {
    if (!about_.tree.has_file("nx.json")) return "";
    auto settings = read_json_object(about_.tree, "nx.json");
    if (!settings) return "";
    auto name = text_at(*settings, "nx.json", "", "defaultProject");
    return name ? *name : "";
  }

  /// What the build of an Nx project makes: `outputPath` and `main` of its target `build`.
  std::optional<Start> nx_start(const std::string& project) {
    for (const char* parent : {"apps", "packages", ""}) {
      const std::string file = join_path(join_path(parent, project), "project.json");
      if (!about_.tree.has_file(file)) continue;
      auto settings = read_json_object(about_.tree, file);
      if (!settings) return std::nullopt;
      const auto target = nlohmann::json::json_pointer("/targets/build");
      if (!settings->contains(target)) return std::nullopt;
      const auto& build = settings->at(target);
      const std::string output =
          build.value(nlohmann::json::json_pointer("/options/outputPath"), "");
      const std::string executor = build.value("executor", "");
      if (output.empty()) return std::nullopt;
      if (executor.ends_with(":next") || executor.ends_with("next:build"))
        return line("cd " + shell_quote(output) + " && next start --port 8080", file);
      return of_file(output + "/main.js", file);
    }
    return std::nullopt;
  }

  const Inspection& about_;
  const Package& package_;
  Manager manager_;
  LanguagePlan plan_;
  std::optional<Site> site_;
  std::string start_line_;
};

Result<LanguagePlan> plan(const Inspection& about) {
  auto package = Package::read(about.tree);
  if (!package) return package.error();
  auto manager = node::manager_of(about, *package);
  if (!manager) return manager.error();
  return Planner(about, *package, std::move(*manager)).plan();
}

std::optional<Match> detect(const Inspection& about) {
  if (!about.tree.has_file(node::manifest_name)) return std::nullopt;
  const auto package = Package::read(about.tree);
  // A manifest that cannot be read is told to its author by the plan.
  if (!package || about.start || !package->script("start").empty())
    return Match{node::manifest_name};
  // A site may be what an app in another language serves as its assets.
  const auto made = plan(about);
  const bool starts = !made || (made->start && made->runtime != "static");
  return Match{node::manifest_name, starts ? Evidence::manifest : Evidence::companion};
}

}  // namespace

Language node() {
  return {"node", "Node.js", "package.json", variables, detect, plan};
}

}  // namespace karreg::builder::languages_of
