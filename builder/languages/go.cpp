// Go: go.mod, go.work, or Go files with a `package main`.
//   build    `go build` of CC_GO_PKG, else of the root, else of a folder of cmd/: the only one, the
//            one named like the module, else the first. The program becomes /app/.karreg/start.
//            vendor/ is used when it is there (go does that itself). CC_BUILD_COMMAND replaces it.
//   start    that program.
#include <algorithm>
#include <array>

#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array variables = {
    Variable{"CC_GO_VERSION", "versions.go", "the version of Go: `1.24`"},
    Variable{"CC_GO_PKG", "go.package", "the package that is the app: `./cmd/server`"},
};

constexpr const char* program = "/app/.karreg/start";

/// Whether the Go files of @p folder are a program.
bool is_main(const SourceTree& tree, const std::string& folder) {
  for (const Entry& entry : tree.list(folder)) {
    if (entry.kind != EntryKind::file || !entry.name.ends_with(".go") ||
        entry.name.ends_with("_test.go"))
      continue;
    const auto text = tree.read(join_path(folder, entry.name), max_inspected_bytes);
    if (text &&
        (text->starts_with("package main") || text->find("\npackage main") != std::string::npos))
      return true;
  }
  return false;
}

/// The words after @p key in the lines of a go.mod or go.work.
std::vector<std::string> directive(const SourceTree& tree, const char* file, std::string_view key) {
  std::vector<std::string> found;
  const auto text = tree.read(file, max_inspected_bytes);
  if (!text) return found;
  bool in_block = false;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    std::string line = trimmed(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (const auto comment = line.find("//"); comment != std::string::npos)
      line = trimmed(line.substr(0, comment));
    if (in_block && line == ")")
      in_block = false;
    else if (in_block && !line.empty())
      found.push_back(line);
    else if (line == std::string(key) + " (")
      in_block = true;
    else if (line.starts_with(std::string(key) + " "))
      found.push_back(trimmed(line.substr(key.size())));
  }
  return found;
}

struct Target {
  std::string package;  ///< "./cmd/server"; "." is the root
  std::string why;
  std::vector<std::string> others;
};

/// "shop" of "example.org/shop/v2".
std::string module_name(const SourceTree& tree) {
  const auto modules = directive(tree, "go.mod", "module");
  if (modules.empty()) return "";
  std::string name = modules.front();
  const auto version = name.rfind("/v");
  if (version != std::string::npos &&
      name.find_first_not_of("0123456789", version + 2) == std::string::npos)
    name.erase(version);
  return name.substr(name.rfind('/') + 1);
}

std::optional<Target> target_below(const SourceTree& tree, const std::string& module) {
  const std::string name = module_name(Subtree(tree, module));
  if (is_main(tree, module)) return Target{"./" + module, "package main", {}};
  std::vector<std::string> commands;
  const std::string parent = join_path(module, "cmd");
  for (const Entry& entry : tree.list(parent))
    if (entry.kind == EntryKind::folder && is_main(tree, join_path(parent, entry.name)))
      commands.push_back(entry.name);
  if (commands.empty() && is_main(tree, parent)) return Target{"./" + parent, "package main", {}};
  if (commands.empty()) return std::nullopt;
  const auto named = std::ranges::find(commands, name);
  const std::string chosen = named == commands.end() ? commands.front() : *named;
  Target target{"./" + join_path(parent, chosen),
                commands.size() == 1      ? "the only one in cmd/"
                : named == commands.end() ? "the first in cmd/"
                                          : "named like the module",
                {}};
  std::ranges::remove_copy(commands, std::back_inserter(target.others), chosen);
  return target;
}

std::optional<Target> target_of(const Inspection& about) {
  if (const auto given = about.settings.find("CC_GO_PKG"))
    return Target{given->value, given->origin, {}};
  if (auto found = target_below(about.tree, "")) {
    if (found->package == "./") found->package = ".";
    return found;
  }
  for (std::string module : directive(about.tree, "go.work", "use")) {
    if (module.starts_with("./")) module.erase(0, 2);
    if (module.empty() || module == ".") continue;
    if (auto found = target_below(about.tree, module)) return found;
  }
  return std::nullopt;
}

std::optional<Match> detect(const Inspection& about) {
  for (const char* file : {"go.work", "go.mod"})
    if (about.tree.has_file(file))
      return Match{file, about.start || about.build_command() || target_of(about)
                             ? Evidence::manifest
                             : Evidence::companion};
  for (const Entry& entry : about.tree.list(""))
    if (entry.kind == EntryKind::file && entry.name.ends_with(".go") && is_main(about.tree, ""))
      return Match{entry.name, Evidence::sources};
  return std::nullopt;
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.tool = "go";
  choose_version(result, about, "go", "Go", "CC_GO_VERSION", std::nullopt);
  if (const auto asked = directive(about.tree, "go.mod", "go"); !asked.empty())
    result.reason("go.mod asks for Go " + asked.front() +
                  " or newer: go fetches that toolchain itself when the image's is older.");
  if (add_build_command(result, about)) {
    result.start =
        Error(ErrorKind::invalid,
              "CC_BUILD_COMMAND replaces `go build`, so that the program is not known: set "
              "CC_RUN_COMMAND too, or add a Procfile with a `web:` line.");
    return result;
  }
  const auto target = target_of(about);
  if (!target) {
    result.start =
        Error(ErrorKind::invalid,
              "No `package main` was found in the root, in cmd/ or in the modules of go.work. "
              "Set CC_GO_PKG to the package of the program, for example ./server, or set "
              "CC_RUN_COMMAND.");
    return result;
  }
  const bool module = about.tree.has_file("go.mod") || about.tree.has_file("go.work");
  // Without a module go builds files, not folders.
  const std::string what =
      module ? shell_quote(target->package) : "$(ls ./*.go | grep -v _test.go)";
  result.step("build",
              "export GOMODCACHE=/cache/go/mod GOCACHE=/cache/go/build\n"
              "go build -trimpath -ldflags=-s -o " +
                  std::string(program) + " " + what);
  result.reason("Build: go build " + target->package + " (" + target->why + ").");
  std::string others;
  for (const std::string& other : target->others) others += (others.empty() ? "" : ", ") + other;
  if (!others.empty())
    result.reason("Also in cmd/: " + others + ". CC_GO_PKG chooses another one.");
  result.start = Start{{program}, "the program of " + target->package};
  return result;
}

}  // namespace

Language go() {
  return {"go", "Go", "go.mod, go.work or a main.go", variables, detect, plan};
}

}  // namespace karreg::builder::languages_of
