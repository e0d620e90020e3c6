#pragma once
/// Commands that run once on the platform, as the API tells of them.

#include <optional>
#include <span>
#include <string>

#include "cli/session.hpp"

namespace karreg::cli {

/// Exit code of `karreg run` when the command did not come to an end of its own: it could not be
/// started, was stopped, or its host was lost.
inline constexpr int no_exit_code = 125;

struct Job {
  std::string id;
  std::string kind;  ///< release, cron, task
  std::string command;
  std::string state;  ///< queued, running, succeeded, failed, cancelled, skipped
  std::string message;
  std::optional<int> exit_code;
  std::string instance;
  std::string due;  ///< of a cron; ISO 8601, as the next ones
  std::string requested_at;
  std::string started_at;  ///< may be empty
  std::string ended_at;    ///< empty: it goes on

  bool over() const { return !ended_at.empty(); }
};

/// Error `unavailable` names what was expected of the answer.
Result<Job> parse_job(const Json& answer);

/// One line for a shell: a single word is taken as it is, several are quoted where they have to be.
std::string shell_line(std::span<const std::string> words);

/// Prints what @p job prints, on stdout and stderr, until it ends. Its last state.
Result<Job> follow_job(Session& session, const Target& target, Job job);

}  // namespace karreg::cli
