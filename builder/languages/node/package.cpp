#include "builder/languages/node/package.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::node {
namespace {

constexpr int deepest_script = 8;

Error wrong(std::string_view path, const std::string& what) {
  return {ErrorKind::invalid, std::string(path) + ": " + what};
}

/// The object at @p key of @p all, texts alone; what else it holds is passed over unless @p strict.
Result<std::map<std::string, std::string>> texts(const nlohmann::json& all, std::string_view path,
                                                 const std::string& key, bool strict) {
  std::map<std::string, std::string> found;
  const auto holder = all.find(key);
  if (holder == all.end()) return found;
  if (!holder->is_object()) {
    if (strict) return wrong(path, "`" + key + "` must be an object.");
    return found;
  }
  for (const auto& [name, value] : holder->items()) {
    if (value.is_string())
      found[name] = trimmed(value.get<std::string>());
    else if (strict)
      return wrong(path, "`" + key + "." + name + "` must be text.");
  }
  return found;
}

const std::string& value_or_empty(const std::map<std::string, std::string>& all,
                                  const std::string& name) {
  static const std::string empty;
  const auto found = all.find(name);
  return found == all.end() ? empty : found->second;
}

std::string_view first_word(std::string_view command) {
  return command.substr(0, command.find_first_of(" \t"));
}

/// The commands between the `&&`, `;` and `|` of @p line.
std::vector<std::string> commands_of(std::string_view line) {
  std::vector<std::string> commands;
  while (!line.empty()) {
    const auto end = line.find_first_of("&;|");
    if (std::string command = trimmed(line.substr(0, end)); !command.empty())
      commands.push_back(std::move(command));
    line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  }
  return commands;
}

/// NAME=value words and `cross-env` stand before the program.
std::string_view program_of(std::string_view command) {
  for (;;) {
    const std::string_view word = first_word(command);
    const bool before = word == "cross-env" || word == "exec" || word == "env" ||
                        word.find('=') != std::string_view::npos;
    if (!before || word.size() == command.size()) return word;
    command.remove_prefix(word.size());
    command.remove_prefix(std::min(command.find_first_not_of(" \t"), command.size()));
  }
}

}  // namespace

Result<Package> Package::read(const SourceTree& tree, std::string_view path) {
  auto all = read_json_object(tree, path);
  if (!all) return all.error();
  Package package;
  for (const auto& [key, into] :
       {std::pair{"scripts", &package.scripts_}, {"engines", &package.engines_}}) {
    auto read = texts(*all, path, key, true);
    if (!read) return read.error();
    *into = std::move(*read);
  }
  for (const auto& [key, into] : {std::pair{"dependencies", &package.dependencies_},
                                  {"optionalDependencies", &package.dependencies_},
                                  {"devDependencies", &package.development_}}) {
    auto read = texts(*all, path, key, false);
    if (!read) return read.error();
    into->merge(*read);
  }
  for (const auto& [key, into] :
       {std::pair{"main", &package.main_}, {"packageManager", &package.package_manager_}}) {
    auto read = text_at(*all, path, "", key);
    if (!read) return read.error();
    *into = std::move(*read);
  }
  auto volta = texts(*all, path, "volta", false);
  if (!volta) return volta.error();
  package.volta_node_ = value_or_empty(*volta, "node");
  for (const char* key : {"name", "version"})
    if (auto value = text_at(*all, path, "", key); value && !value->empty())
      package.about_[key] = *value;
  // A list, or an object with the list in `packages` (yarn).
  auto workspaces = all->find("workspaces");
  if (workspaces != all->end() && workspaces->is_object())
    workspaces = workspaces->contains("packages") ? workspaces->find("packages") : all->end();
  if (workspaces != all->end() && workspaces->is_array())
    for (const auto& each : *workspaces)
      if (each.is_string()) package.workspaces_.push_back(each.get<std::string>());
  return package;
}

const std::string& Package::script(const std::string& name) const {
  return value_or_empty(scripts_, name);
}

const std::string& Package::engine(const std::string& name) const {
  return value_or_empty(engines_, name);
}

std::string Package::development_tool_of(const std::string& line) const {
  for (const std::string& command : commands_of(line)) {
    const std::string_view program = program_of(command);
    for (const auto& [name, range] : development_) {
      if (name.starts_with("@types/")) continue;
      // "@remix-run/serve" brings remix-serve, "@nestjs/cli" brings nest: the name or its owner's
      // begins or ends the program's.
      const auto slash = name.find('/');
      const std::string_view plain = slash == std::string::npos
                                         ? std::string_view(name)
                                         : std::string_view(name).substr(slash + 1);
      if (program == name || program == plain) return name;
      if (name == "typescript" && program == "tsc") return name;
      if (slash == std::string::npos) continue;
      const std::string_view owner = std::string_view(name).substr(1, slash - 1);
      if (plain == "cli" && (program == owner || owner.starts_with(program))) return name;
      if (plain == "serve" && program.ends_with("-serve") &&
          owner.starts_with(program.substr(0, program.find('-'))))
        return name;
    }
  }
  return "";
}

std::string Manager::install(bool development) const {
  if (name == "pnpm")
    return program + " install" + (lock_file.empty() ? "" : " --frozen-lockfile") +
           (development ? " --prod=false" : " --prod") + " --store-dir=/cache/pnpm";
  if (name == "yarn")
    return program + " install" + (lock_file.empty() ? "" : " --frozen-lockfile") +
           (development ? " --production=false" : " --production") + " --non-interactive";
  if (name == "yarn-berry")
    return "YARN_NODE_LINKER=node-modules YARN_ENABLE_GLOBAL_CACHE=true "
           "YARN_GLOBAL_FOLDER=/cache/yarn-berry " +
           program + " install" + (lock_file.empty() ? "" : " --immutable");
  if (name == "bun")
    return program + " install" + (lock_file.empty() ? "" : " --frozen-lockfile") +
           (development ? "" : " --production");
  return std::string(lock_file.empty() ? "npm install" : "npm ci") +
         (development ? " --include=dev" : " --omit=dev") + " --no-audit --no-fund";
}

std::string Manager::prune() const {
  if (name == "pnpm") return "CI=true " + program + " prune --prod --ignore-scripts";
  if (name == "yarn")
    return program +
           " install --production --ignore-scripts --prefer-offline --frozen-lockfile "
           "--non-interactive";
  if (name == "npm") return "npm prune --omit=dev --no-audit --no-fund";
  return "";
}

namespace {

/// The directory of tools that a build fetches for itself; it is not part of the app.
constexpr const char* tools = "/tmp/karreg-tools";

/// "9.1.0" of "9.1.0+sha512.abc".
std::string plain_version(std::string_view version) {
  return std::string(version.substr(0, version.find('+')));
}

/// Which pnpm reads a lock file: its first lines say `lockfileVersion: '6.0'`.
std::string pnpm_for(const SourceTree& tree) {
  const auto lock = tree.read("pnpm-lock.yaml", std::size_t{64} << 20);
  if (!lock) return "pnpm@9";
  const auto at = lock->find("lockfileVersion:");
  if (at == std::string::npos) return "pnpm@9";
  const auto digit = lock->find_first_of("0123456789", at);
  if (digit == std::string::npos) return "pnpm@9";
  switch ((*lock)[digit]) {
    case '5':
      return "pnpm@7";
    case '6':
      return "pnpm@8";
    default:
      return "pnpm@9";
  }
}

bool is_berry(const SourceTree& tree) {
  if (tree.has_file(".yarnrc.yml")) return true;
  const auto lock = tree.read("yarn.lock", std::size_t{64} << 20);
  return lock && lock->find("__metadata:") != std::string::npos;
}

/// The release that the repository brings along, as .yarnrc.yml names it.
std::string own_yarn(const SourceTree& tree) {
  const auto settings = tree.read(".yarnrc.yml", max_inspected_bytes);
  if (!settings) return "";
  constexpr std::string_view key = "yarnPath:";
  const auto at = settings->find(key);
  if (at == std::string::npos) return "";
  std::string path = trimmed(std::string_view(*settings).substr(
      at + key.size(), settings->find('\n', at) - at - key.size()));
  std::erase(path, '"');
  std::erase(path, '\'');
  return tree.has_file(path) ? path : "";
}

struct LockFile {
  const char* file;
  const char* manager;
};
constexpr std::array lock_files = {
    LockFile{"pnpm-lock.yaml", "pnpm"},   LockFile{"bun.lock", "bun"},
    LockFile{"bun.lockb", "bun"},         LockFile{"yarn.lock", "yarn"},
    LockFile{"package-lock.json", "npm"}, LockFile{"npm-shrinkwrap.json", "npm"},
};

}  // namespace

Result<Manager> manager_of(const Inspection& about, const Package& package) {
  Manager manager;
  std::string wanted, version;
  if (const auto given = about.settings.find("CC_NODE_BUILD_TOOL")) {
    wanted = given->value;
    manager.reason = given->origin;
    if (wanted == "npm-ci" || wanted == "npm-install") wanted = "npm";
    if (wanted == "yarn2") wanted = "yarn-berry";
  } else if (!package.package_manager().empty()) {
    const std::string& said = package.package_manager();
    const auto at = said.find('@', 1);
    wanted = said.substr(0, at);
    if (at != std::string::npos) version = plain_version(std::string_view(said).substr(at + 1));
    manager.reason = "packageManager of package.json";
  }
  for (const LockFile& each : lock_files) {
    if (!about.tree.has_file(each.file)) continue;
    if (wanted.empty()) {
      wanted = each.manager;
      manager.reason = each.file;
    }
    const bool own =
        wanted == each.manager || (wanted == "yarn-berry" && each.manager == std::string("yarn"));
    if (own && manager.lock_file.empty())
      manager.lock_file = each.file;
    else if (!own)
      manager.unused.emplace_back(each.file);
  }
  for (const char* name : {"pnpm", "yarn", "bun"})
    if (wanted.empty() && !package.engine(name).empty()) {
      wanted = name;
      manager.reason = std::string("engines.") + name + " of package.json";
    }
  if (wanted.empty()) wanted = "npm";

  if (wanted == "yarn" &&
      (version.empty() ? is_berry(about.tree) : !version.starts_with("1.") && version != "1"))
    wanted = "yarn-berry";
  manager.name = wanted;
  const auto fetched = [&](const std::string& name, const std::string& usual) {
    manager.package = version.empty() ? usual : name + "@" + version;
  };
  if (wanted == "pnpm") {
    fetched("pnpm", pnpm_for(about.tree));
    manager.program = std::string(tools) + "/bin/pnpm";
  } else if (wanted == "yarn") {
    fetched("yarn", "yarn@1.22.22");
    manager.program = std::string(tools) + "/bin/yarn";
  } else if (wanted == "yarn-berry") {
    const std::string own = own_yarn(about.tree);
    if (own.empty()) fetched("@yarnpkg/cli-dist", "@yarnpkg/cli-dist@4");
    manager.program = own.empty() ? std::string(tools) + "/bin/yarn" : "node " + shell_quote(own);
  } else if (wanted == "bun") {
    manager.program = "bun";  // part of the runtime
  } else if (wanted == "npm") {
    manager.program = "npm";
  } else {
    return Error(ErrorKind::invalid,
                 fmt::format("{} names `{}`, which is no package manager that is known here: npm, "
                             "pnpm, yarn, yarn-berry, bun.",
                             manager.reason, wanted));
  }
  return manager;
}

namespace {

/// "serve" of "npm run serve", "yarn serve" or "pnpm serve": a script of the package, if it is one.
struct Call {
  std::string script;     ///< empty: no script is called
  std::string remainder;  ///< the command without its manager; empty: it stays as it is
};

Result<Call> call_in(const Package& package, const std::string& command, bool bun_is_there) {
  const std::string manager(first_word(command));
  std::string rest = trimmed(std::string_view(command).substr(manager.size()));
  const auto take = [&](std::string_view word) {
    if (first_word(rest) != word) return false;
    rest = trimmed(std::string_view(rest).substr(word.size()));
    return true;
  };
  if (manager == "npx" || manager == "bunx") {
    take("--yes");
    take("-y");
    if (manager == "bunx" && bun_is_there) take("--bun");
    return Call{"", rest};
  }
  if (manager != "npm" && manager != "yarn" && manager != "pnpm" && manager != "bun") return Call{};
  const bool run = take("run") || take("run-script");
  while (run && (first_word(rest) == "-s" || first_word(rest) == "--silent"))
    take(first_word(rest));
  const std::string name(first_word(rest));
  const bool whole =
      name == rest && !name.empty() && name.find_first_of("$`\"'") == std::string::npos;
  if (run) {
    // Bun runs files, too.
    if (manager == "bun" && package.script(name).empty()) return Call{};
    if (whole) return Call{name, ""};
    // Words after the script's name are appended to it (npm wants a `--` before them).
    if (!package.script(name).empty()) {
      std::string more = trimmed(std::string_view(rest).substr(name.size()));
      if (more.starts_with("-- ")) more = trimmed(std::string_view(more).substr(3));
      return Call{"", package.script(name) + " " + more};
    }
    return Call{name, ""};
  }
  if (whole && (name == "start" || name == "test") && manager != "bun") return Call{name, ""};
  if (manager == "yarn" || manager == "pnpm") {
    if (whole && !package.script(name).empty()) return Call{name, ""};
    take("exec");
    if (!rest.empty() && rest.front() != '-') return Call{"", rest};
  }
  if (manager == "bun" && bun_is_there) return Call{};
  return Error(ErrorKind::invalid,
               "package.json: the start script calls `" + command + "`, but " + manager +
                   " is not there when the app runs. Call the program itself, or set "
                   "CC_RUN_COMMAND; what belongs to the build goes into scripts.build.");
}

Result<std::string> without_manager_at(const Package& package, const std::string& line,
                                       bool bun_is_there, int depth) {
  std::string result;
  std::string_view rest = line;
  while (!rest.empty()) {
    const auto end = rest.find("&&");
    std::string command = trimmed(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
    auto call = call_in(package, command, bun_is_there);
    if (!call) return call.error();
    if (!call->script.empty()) {
      const std::string& script = package.script(call->script);
      if (script.empty() || depth == deepest_script)
        return Error(ErrorKind::invalid,
                     "package.json: the start script calls `" + command + "`, and scripts." +
                         call->script + (script.empty() ? " does not exist." : " calls itself."));
      auto inner = without_manager_at(package, script, bun_is_there, depth + 1);
      if (!inner) return inner.error();
      command = *inner;
    } else if (!call->remainder.empty()) {
      command = call->remainder;
    }
    result += (result.empty() ? "" : " && ") + command;
  }
  return result;
}

}  // namespace

Result<std::string> without_manager(const Package& package, const std::string& line,
                                    bool bun_is_there) {
  return without_manager_at(package, line, bun_is_there, 0);
}

}  // namespace karreg::builder::node
