#pragma once
/// What one language contributes to the inspector. A new language is one file in languages/ and one
/// line in languages/table.cpp.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "builder/source_tree.hpp"
#include "common/error.hpp"
#include "common/wire/plan.hpp"

namespace karreg::builder {

/// What the owner of the app chose.
struct AppSettings {
  std::string variant = "auto";            ///< node, python, static, cpp, or auto
  std::map<std::string, std::string> env;  ///< the app's environment

  /// The value of @p name; nothing when it is unset or blank.
  std::optional<std::string> variable(const std::string& name) const;
};

/// How the app is started, and which file said so.
struct Start {
  std::vector<std::string> command;  ///< argv
  std::string reason;                ///< "node server.js (scripts.start of package.json)"
};

/// What a language makes of a tree it recognised.
struct LanguagePlan {
  std::string tool;                           ///< npm, pip, cmake, none
  std::vector<wire::guest::BuildStep> steps;  ///< without the owner's hooks
  std::map<std::string, std::string> env;
  std::vector<std::string> reasons;  ///< sentences
  /// The language's own idea; an error says why there is none. Ignored when the owner gave a start
  /// command.
  Result<Start> start = Error(ErrorKind::internal, "no start command");
};

/// What a language may ask while it plans.
struct Inspection {
  const SourceTree& tree;
  const AppSettings& settings;
  bool start_given = false;                  ///< by CC_RUN_COMMAND or Procfile
  std::optional<std::string> build_command;  ///< CC_BUILD_COMMAND
};

struct Language {
  std::string_view runtime;     ///< key of the image catalogue, and the variant an owner chooses
  std::string_view title;       ///< for people: "Node.js"
  std::string_view looked_for;  ///< what decides, for the message when nothing was found
  /// The file that decides (or the setting, when that does), or nothing.
  std::optional<std::string> (*detect)(const SourceTree&, const AppSettings&);
  Result<LanguagePlan> (*plan)(const Inspection&);
};

/// Every language, the first match wins.
std::span<const Language> languages();

/// Largest file the inspector reads.
inline constexpr std::size_t max_inspected_bytes = std::size_t{1} << 20;

}  // namespace karreg::builder
