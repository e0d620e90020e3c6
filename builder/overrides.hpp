#pragma once
/// What people said beside the source itself. Strongest first: the app's environment,
/// clevercloud/*.json, karreg.toml, the Procfile. All of them end as variables of the names that
/// the environment uses, so that one question finds the strongest answer and who gave it.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace karreg::builder {

/// A value and who said so, for sentences: "CC_RUN_COMMAND", "run.command of karreg.toml".
struct Given {
  std::string value;
  std::string origin;
};

/// A variable that changes what is built or started: for the checks of karreg.toml, and for people.
struct Variable {
  std::string_view name;     ///< in the app's environment
  std::string_view key;      ///< in karreg.toml: "run.command"; empty: only as a line of its [env]
  std::string_view meaning;  ///< a phrase: "replaces the build step"
};

/// Those that every language has.
std::span<const Variable> common_variables();

class Overrides {
 public:
  Overrides() = default;
  /// @p env: the environment of the app, the strongest of all.
  explicit Overrides(const std::map<std::string, std::string>& env);

  /// Adds what is weaker than all that is there. A name may be there already: then it stays.
  void add_weaker(const std::map<std::string, Given>& more);

  /// The strongest value of @p name, without the white space around it; nothing when it is unset or
  /// blank everywhere.
  std::optional<Given> find(std::string_view name) const;
  /// The value alone.
  std::optional<std::string> variable(std::string_view name) const;

 private:
  std::map<std::string, Given, std::less<>> values_;
};

}  // namespace karreg::builder
