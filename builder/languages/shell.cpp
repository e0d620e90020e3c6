// Whatever starts: start.sh, or the owner's command (CC_RUN_COMMAND, a Procfile's `web:` line), or
// the target `run` of a Makefile.
//   build    CC_BUILD_COMMAND, else the target `build` of the Makefile.
//   start    start.sh with the program of its first line, else `make run`.
#include <algorithm>

#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr const char* script = "start.sh";
constexpr const char* makefile = "Makefile";

/// Whether the Makefile has a rule for @p target.
bool has_target(const SourceTree& tree, std::string_view target) {
  const auto text = tree.read(makefile, max_inspected_bytes);
  if (!text) return false;
  const std::string rule = std::string(target) + ":";
  return text->starts_with(rule) || text->find("\n" + rule) != std::string::npos;
}

Result<LanguagePlan> plan(const Inspection& about) {
  LanguagePlan result;
  result.tool = "none";
  choose_version(result, about, "shell", "Shell", "", std::nullopt);
  if (!add_build_command(result, about) && has_target(about.tree, "build")) {
    result.tool = "make";
    result.step("build", "make build");
    result.reason("Build: make build (Makefile).");
  }
  if (about.tree.has_file(script)) {
    const std::string first = first_line(about.tree, script);
    std::vector<std::string> command = {"/bin/bash", script};
    if (first.starts_with("#!")) {
      // The file need not be executable: git keeps that apart, and people forget it.
      command = {};
      std::string_view rest = std::string_view(first).substr(2);
      while (!rest.empty()) {
        const auto blank = rest.find(' ');
        if (blank != 0) command.emplace_back(rest.substr(0, blank));
        rest.remove_prefix(blank == std::string_view::npos ? rest.size() : blank + 1);
      }
      command.emplace_back(script);
    }
    std::string words;
    for (const std::string& word : command) words += (words.empty() ? "" : " ") + word;
    result.start = Start{command, words + " (the file is there)"};
  } else if (has_target(about.tree, "run")) {
    result.start = Start{{"/usr/bin/make", "run"}, "make run (Makefile)"};
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
  if (has_target(about.tree, "run")) return Match{makefile, Evidence::fallback};
  return std::nullopt;
}

}  // namespace

Language shell() {
  return {"shell", "shell", "start.sh, or a Makefile with a target `run`", {}, detect, plan};
}

}  // namespace karreg::builder::languages_of
