#pragma once
/// What one language contributes to the inspector. A new language is one file in languages/ and one
/// line in languages/table.cpp.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "builder/overrides.hpp"
#include "builder/runtimes.hpp"
#include "builder/source_tree.hpp"
#include "builder/system_packages.hpp"
#include "common/error.hpp"
#include "common/wire/plan.hpp"

namespace karreg::builder {

/// What the owner of the app chose.
struct AppSettings {
  std::string variant = "auto";            ///< a name of wire::app_types
  std::map<std::string, std::string> env;  ///< the app's environment
};

/// What a language may ask while it looks and plans.
struct Inspection {
  const SourceTree& tree;
  const Overrides& settings;
  std::optional<Given> start;    ///< CC_RUN_COMMAND or the Procfile's `web:`
  SystemPackages packages = {};  ///< of Debian, that its images have beside the language's

  std::optional<Given> build_command() const { return settings.find("CC_BUILD_COMMAND"); }
};

/// How much a file says about what the app is. The strongest evidence wins, then the order of the
/// table.
enum class Evidence {
  manifest,   ///< names dependencies, and it is known how to start
  sources,    ///< source files that can be started
  companion,  ///< a manifest without a start: assets of an app in another language, tools
  content,    ///< files to be served as they are
  fallback,   ///< something that starts, of whatever language
};

/// A language that recognised the tree.
struct Match {
  std::string file;  ///< the file or the setting that decides
  Evidence evidence = Evidence::manifest;
};

/// How the app is started, and which file said so.
struct Start {
  std::vector<std::string> command;  ///< argv
  std::string reason;                ///< "node server.js (scripts.start of package.json)"
};

/// What a language makes of a tree it recognised.
struct LanguagePlan {
  std::string runtime;                        ///< key of the image catalogue: what the app runs on
  std::string build_runtime;                  ///< what it is built on; empty: the same
  std::string tool;                           ///< npm, pip, cmake, none
  std::vector<wire::guest::BuildStep> steps;  ///< without the owner's hooks
  std::string output_root = "/app";           ///< what of the build VM becomes /app
  std::map<std::string, std::string> env;
  std::string before_start;          ///< shell, on every instance; the owner's hook comes first
  std::vector<std::string> reasons;  ///< sentences
  /// Why this cannot be built although it is understood: a sentence with the way out.
  std::string problem;
  /// The language's own idea; an error says why there is none. Ignored when the owner gave a start
  /// command.
  Result<Start> start = Error(ErrorKind::internal, "no start command");

  void step(std::string name, std::string command) {
    steps.push_back({std::move(name), std::move(command)});
  }
  void reason(std::string sentence) { reasons.push_back(std::move(sentence)); }
};

struct Language {
  std::string_view name;                ///< a name of wire::app_types
  std::string_view title;               ///< for people: "Node.js"
  std::string_view looked_for;          ///< what decides, for the message when nothing was found
  std::span<const Variable> variables;  ///< that it reads, beside common_variables()
  std::optional<Match> (*detect)(const Inspection&);
  Result<LanguagePlan> (*plan)(const Inspection&);
};

/// Every language, in the order that decides between equal evidence.
std::span<const Language> languages();

/// Chooses the image for @p plan: its runtime, a sentence about the version, and the problem when
/// it cannot be had. @p variable chooses the version; it is the strongest wish, before @p wish.
void choose_version(LanguagePlan& plan, const Inspection& about, std::string_view language,
                    std::string_view title, std::string_view variable,
                    const std::optional<VersionWish>& wish);

/// Adds CC_BUILD_COMMAND as the step `build`, if it is given.
bool add_build_command(LanguagePlan& plan, const Inspection& about);

/// The same in the place of a build whose program would be known: the owner has to name that, too,
/// by one of @p variables.
bool replace_build(LanguagePlan& plan, const Inspection& about,
                   std::string_view variables = "CC_RUN_COMMAND");

/// @p given (CC_WEBROOT) as a clean path below the app. Error `invalid`: it leaves the app, or is
/// not there although nothing is @p built that could make it.
Result<std::string> folder_of_app(const Inspection& about, const Given& given, bool built);

/// Largest file the inspector reads.
inline constexpr std::size_t max_inspected_bytes = std::size_t{1} << 20;

/// Served by the runtime `static`; its last argument is the folder.
inline constexpr const char* static_server = "/usr/lib/karreg/serve-static";

}  // namespace karreg::builder
