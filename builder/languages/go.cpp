// Go: go.mod, go.work, or Go files with a `package main`.
//   build    `go build` of CC_GO_PKG, else of the root, else of a folder of cmd/: the only one, the
//            one named like the module, else the first. The program becomes /app/.karreg/start.
//            vendor/ is used when it is there (go does that itself). CC_BUILD_COMMAND replaces it.
//   start    that program. An owner's start command finds it in bin/, with the others of cmd/.
#include <algorithm>
#include <array>

#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array variables = {
    Variable{"CC_GO_VERSION", "versions.go", "the version of Go: `1.24`"},
    Variable{"CC_GO_PKG", "go.package",
             "the package that is the app: its folder or its import path"},
};

constexpr const char* program = "/app/.karreg/start";

/// Whether a Go file belongs to a program: its package is main, and no build leaves it out, as
/// with generators ("//go:build ignore").
bool is_of_main(std::string_view text) {
  bool in_comment = false;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string line = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (in_comment || line.starts_with("/*")) {
      in_comment = line.find("*/") == std::string::npos;
    } else if (line == "//go:build ignore" || line == "// +build ignore") {
      return false;
    } else if (line.starts_with("package")) {
      return trimmed(line.substr(7, line.find("//", 7) - 7)) == "main";
    }
  }
  return false;
}

/// Whether the Go files of @p folder are a program.
bool is_main(const SourceTree& tree, const std::string& folder) {
  for (const Entry& entry : tree.list(folder)) {
    if (entry.kind != EntryKind::file || !entry.name.ends_with(".go") ||
        entry.name.ends_with("_test.go"))
      continue;
    const auto text = tree.read(join_path(folder, entry.name), max_inspected_bytes);
    if (text && is_of_main(*text)) return true;
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
    if (!in_block) {
      if (!line.starts_with(key)) continue;
      const std::string after = line.substr(key.size());
      line = trimmed(after);
      in_block = line == "(";
      if (in_block || line.size() == after.size()) continue;
    } else if (line == ")") {
      in_block = false;
      continue;
    }
    std::erase(line, '"');
    if (!line.empty()) found.push_back(line);
  }
  return found;
}

struct Target {
  std::string package;  ///< "./cmd/shop"; "." is the root
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
  if (const auto given = about.settings.find("CC_GO_PKG")) {
    // Without "./" go would look in its own library.
    const auto folder = path_inside(given->value);
    const bool is_folder = folder && !folder->empty() && about.tree.has_folder(*folder);
    return Target{is_folder ? "./" + *folder : given->value, given->origin, {}};
  }
  if (auto found = target_below(about.tree, "")) {
    if (found->package == "./") found->package = ".";
    return found;
  }
  for (const std::string& used : directive(about.tree, "go.work", "use"))
    if (const auto module = path_inside(used); module && !module->empty())
      if (auto found = target_below(about.tree, *module)) return found;
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
  if (replace_build(result, about)) return result;
  const auto target = target_of(about);
  if (!target) {
    result.start =
        Error(ErrorKind::invalid,
              "No `package main` was found in the root, in cmd/ or in the modules of go.work. "
              "Set CC_GO_PKG to the package of the program, for example ./server, or set "
              "CC_RUN_COMMAND.");
    if (about.start)
      result.reason(
          "No `package main` was found in the root, in cmd/ or in the modules of go.work: nothing "
          "is built. CC_GO_PKG names a package to build.");
    return result;
  }
  const bool module = about.tree.has_file("go.mod") || about.tree.has_file("go.work");
  // Without a module go builds files, not folders.
  std::string packages = module || about.settings.find("CC_GO_PKG")
                             ? shell_quote(target->package)
                             : "$(ls ./*.go | grep -v _test.go)";
  std::string others;
  for (const std::string& other : target->others) {
    others += (others.empty() ? "" : ", ") + other;
    if (about.start)
      packages += " " + shell_quote(join_path(target->package.substr(0, target->package.rfind('/')),
                                              other));
  }
  result.step("build",
              "export GOMODCACHE=/cache/go/mod GOCACHE=/cache/go/build "
              "GOTOOLCHAIN=${GOTOOLCHAIN:-auto}\n"
              "go build -trimpath -ldflags=-s -o " +
                  std::string(about.start ? "/app/bin/" : program) + " " + packages);
  result.reason("Build: go build " + target->package + " (" + target->why + ").");
  if (about.start) {
    result.env["PATH"] = "/app/bin:/usr/local/bin:/usr/bin:/bin";
    result.reason("The programs are in /app/bin, which is in the PATH" +
                  (others.empty() ? "." : ", those of cmd/, too: " + others + "."));
  } else if (!others.empty()) {
    result.reason("Also in cmd/: " + others + ". CC_GO_PKG chooses another one.");
  }
  result.start = Start{
      {program},
      "the program of " + (target->package == "." ? std::string("the root") : target->package)};
  return result;
}

}  // namespace

Language go() {
  return {"go", "Go", "go.mod, go.work or a main.go", variables, detect, plan};
}

}  // namespace karreg::builder::languages_of
