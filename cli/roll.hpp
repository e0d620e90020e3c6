#pragma once
/// Apps on older images, and rolls, as the API tells of them (docs/updates.md).

#include <optional>
#include <string>
#include <vector>

#include "cli/session.hpp"

namespace karreg::cli {

/// Exit code of `karreg images outdated` when there is an app on an older image.
inline constexpr int outdated_exit = 10;

struct OutdatedApp {
  struct Change {
    std::string name;
    std::string from;  ///< empty: it was not there
    std::string to;    ///< empty: it is not there any more
  };
  std::string name;
  std::string runtime;
  std::string image;      ///< digest
  std::string new_image;  ///< digest
  std::vector<Change> packages;
  std::string packages_unknown;  ///< why they are not known; empty: they are
  std::string rebuild;           ///< why a roll has to build it again; empty: it need not
};
/// Error `unavailable` names what was expected of the answer.
Result<std::vector<OutdatedApp>> parse_outdated(const Json& answer);
/// What people read of one: a line, and one for each package that differs.
std::vector<std::string> rendered(const OutdatedApp& app);

struct Roll {
  struct App {
    std::string name;
    int wave = 1;       ///< from 1
    std::string state;  ///< waiting, deploying, done, skipped, failed, untouched
    std::string message;
  };
  std::string id;
  std::string state;  ///< running, done, stopped, cancelled
  std::string author;
  std::string message;
  std::string requested_at;  ///< ISO 8601
  std::vector<App> apps;

  bool over() const { return state != "running"; }
  int waves() const { return apps.empty() ? 0 : apps.back().wave; }
};
/// Error `unavailable` names what was expected of the answer.
Result<Roll> parse_roll(const Json& answer);
/// "3 apps in 2 waves".
std::string extent(const Roll& roll);
/// A line for each app of @p roll of which something is new since @p before.
std::vector<std::string> changes(const std::optional<Roll>& before, const Roll& roll);
/// 0 unless it was stopped or cancelled.
int exit_code_of(const Roll& roll);

/// Shows what becomes of the roll at @p path of the API until it ends. The API's last answer.
Result<Json> follow_roll(Session& session, const std::string& path);

}  // namespace karreg::cli
