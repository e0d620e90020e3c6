// Whatever starts: start.sh, or the owner's command (CC_RUN_COMMAND, a Procfile's `web:` line), or
// the target `run` of a Makefile.
//   build    CC_BUILD_COMMAND, else the target `build` of the Makefile.
//   start    start.sh with the program of its first line, else `make run`.
#include <algorithm>
#include <iterator>
#include <sstream>

#include "builder/languages/table.hpp"
#include "common/text.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr const char* script = "start.sh";
/// The file that make reads, in its order; empty: there is none.
std::string makefile_of(const SourceTree& tree) {
  for (const char* name : {"GNUmakefile", "makefile", "Makefile"})
    if (tree.has_file(name)) return name;
  return "";
}

/// Whether @p line of a Makefile begins a rule for @p target: "build run: deps", not "run := x".
bool is_rule_for(std::string_view line, std::string_view target) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || line.starts_with('\t') || line.find_first_of("#=") < colon)
    return false;
  const auto after = line.find_first_not_of(':', colon);
  if (after != std::string_view::npos && line[after] == '=') return false;
  std::istringstream names{std::string(line.substr(0, colon))};
  return std::find(std::istream_iterator<std::string>(names), {}, target) !=
         std::istream_iterator<std::string>();
}

bool has_target(const SourceTree& tree, std::string_view target) {
  const auto text = tree.read(makefile_of(tree), max_inspected_bytes);
  if (!text) return false;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);)
    if (is_rule_for(line, target)) return true;
  return false;
}

/// The words after `#!` in the first line of start.sh; bash where it has none, or where it is no
/// text.
std::vector<std::string> interpreter(const SourceTree& tree) {
  const auto file = tree.read(script, max_inspected_bytes);
  if (file && file->starts_with("#!")) {
    const std::string line = file->substr(2, file->find('\n') - 2);
    std::istringstream first(line);
    std::vector<std::string> words(std::istream_iterator<std::string>(first), {});
    if (!words.empty() && text::is_utf8(line) && line.find('\0') == std::string::npos) return words;
  }
  return {"/bin/bash"};
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.tool = "none";
  choose_version(result, about, "shell", "Shell", "", std::nullopt);
  if (!add_build_command(result, about) && has_target(about.tree, "build")) {
    result.tool = "make";
    result.step("build", "make build");
    result.reason("Build: make build (" + makefile_of(about.tree) + ").");
  }
  if (about.tree.has_file(script)) {
    // The file need not be executable: git keeps that apart, and people forget it.
    std::vector<std::string> command = interpreter(about.tree);
    command.emplace_back(script);
    std::string words;
    for (const std::string& word : command) words += (words.empty() ? "" : " ") + word;
    result.start = Start{command, words + " (the file is there)"};
  } else if (has_target(about.tree, "run")) {
    result.start = Start{{"/usr/bin/make", "run"}, "make run (" + makefile_of(about.tree) + ")"};
  } else {
    result.start =
        Error(ErrorKind::invalid,
              "Nothing says how to start this app: there is no start.sh, no Procfile with "
              "a `web:` line and no target `run` in a Makefile. Add one, or set "
              "CC_RUN_COMMAND.");
  }
  return result;
}

std::optional<Match> detect(const Inspection& about) {
  if (about.tree.has_file(script)) return Match{script, Evidence::sources};
  if (about.start)
    return Match{about.start->origin == "web: of Procfile" ? "Procfile" : about.start->origin,
                 Evidence::fallback};
  if (has_target(about.tree, "run")) return Match{makefile_of(about.tree), Evidence::fallback};
  return std::nullopt;
}

}  // namespace

Language shell() {
  return {"shell", "shell", "start.sh, or a Makefile with a target `run`", {}, detect, plan};
}

}  // namespace karreg::builder::languages_of
