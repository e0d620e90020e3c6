#pragma once
/// Live logs, and deployments watched to their end.

#include <cstdint>
#include <optional>
#include <string>

#include "cli/session.hpp"

namespace karreg::cli {

/// Said when Ctrl-C ends the watching.
inline constexpr const char* detach_note =
    "\nDetached: the deployment goes on. `karreg activity --follow` watches it, `karreg "
    "cancel-deploy` "
    "cancels it.\n";

struct LogQuery {
  std::optional<std::int64_t> since_ms;
  std::optional<std::int64_t> until_ms;  ///< ends the stream there
  std::string deployment_id;
  std::string instance_id;
  std::string search;
  bool access = false;  ///< of the requests, not of what the app printed
};

struct LogLine {
  std::string date;
  std::string service;
  std::string message;
  std::string instance_id;
  std::string deployment_id;
  std::string process = {};  ///< the worker that printed it
};

/// A request, from the data of an ACCESS_LOG event.
struct AccessLine {
  std::string date;
  std::string ip;
  std::string method;
  std::string host;
  std::string path;
  std::int64_t status = 0;
  double ms = 0;
  std::int64_t bytes_out = 0;
  std::string error;
};
/// Error `unavailable` when it is none, as what the platform says of lines that were lost.
Result<AccessLine> parse_access_line(const std::string& data);
/// A line for people, without control characters.
std::string rendered(const AccessLine& line, const Terminal& terminal);

/// The path of the log stream of @p target.
std::string log_path(const Target& target, const LogQuery& query);
/// The line in the data of an APPLICATION_LOG event. Error `unavailable` when it is none.
Result<LogLine> parse_log_line(const std::string& data);
/// A line for people: time, service unless it is the app, text without control characters.
std::string rendered(const LogLine& line, const Terminal& terminal);

/// Prints lines until the stream ends; with @p query.until_ms unset that is never. Reconnects a few
/// times and goes on after the last line. How many lines there were.
Result<std::size_t> show_logs(Session& session, const Target& target, const LogQuery& query);

/// Shows the log of a deployment until it ends; says how it ended. The exit code.
Result<int> follow_deployment(Session& session, const Target& target, const std::string& uuid);
/// Says how @p deployment ended and where the app answers. The exit code.
Result<int> conclude(Session& session, const Target& target, const Deployment& deployment);

}  // namespace karreg::cli
