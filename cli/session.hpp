#pragma once
/// What every command gets: the terminal, the API, the folder it is called in, the chosen output.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "cli/api.hpp"
#include "cli/link.hpp"
#include "cli/model.hpp"
#include "cli/profile.hpp"
#include "cli/terminal.hpp"
#include "common/error.hpp"

namespace karreg::cli {

/// Exit code when a deployment that was waited for failed or was cancelled.
inline constexpr int deployment_failed_exit = 1;
/// How a command names the app it is about.
struct AppChoice {
  std::string app;    ///< id or name
  std::string alias;  ///< of .karreg.json
};

/// An app found: enough to build paths.
struct Target {
  std::string id;
  std::string owner;
  std::string name;
  std::string path() const { return "/v2/organisations/" + owner + "/applications/" + id; }
};

class Session {
 public:
  using Clock = std::function<std::int64_t()>;  ///< milliseconds since the epoch

  Session(Terminal& terminal, Environment environment, std::filesystem::path folder, Clock now)
      : terminal_(terminal),
        environment_(std::move(environment)),
        folder_(std::move(folder)),
        now_(std::move(now)) {}

  Terminal& terminal() { return terminal_; }
  const Environment& environment() const { return environment_; }
  const std::filesystem::path& folder() const { return folder_; }
  std::int64_t now_ms() const { return now_(); }

  /// Set by --format.
  std::string format = "human";
  bool json() const { return format == "json"; }
  /// Prints a value on stdout, on one line, when the format is JSON; false otherwise.
  bool print_json(const Json& value);

  /// The API with the profile's login, loaded once.
  Result<const Api*> api();
  /// The app that @p choice names, or the one linked to this folder.
  Result<Target> target(const AppChoice& choice);
  /// The app itself.
  Result<App> app(const Target& target);

  /// What the chosen command does; set by its callback, run after parsing. Gives the exit code.
  std::function<Result<int>()> action;

 private:
  Terminal& terminal_;
  Environment environment_;
  std::filesystem::path folder_;
  Clock now_;
  std::optional<Api> api_;
};

/// The app of @p summary that @p wanted (id or name) names. Error `not_found` with a suggestion,
/// `invalid` when several have that name.
Result<Target> find_app(const Summary& summary, const std::string& wanted);
/// The organisation that --org names; the user when it is not given, which stands for their own.
/// Error `not_found` with a suggestion.
Result<std::string> find_owner(const Api& api, const std::string& wanted);

}  // namespace karreg::cli
