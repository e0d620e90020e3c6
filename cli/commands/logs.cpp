#include "cli/commands/commands.hpp"
#include "cli/follow.hpp"
#include "cli/times.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  std::string since;
  std::string until;
  std::string deployment_id;
  std::string search;
  bool follow = false;
  bool access = false;
};

Result<int> logs(Session& session, const Options& options) {
  if (options.follow && !options.until.empty())
    return Error(ErrorKind::invalid, "--follow and --until exclude each other.");
  LogQuery query;
  query.deployment_id = options.deployment_id;
  query.search = options.search;
  query.access = options.access;
  if (!options.since.empty()) {
    auto since = parse_moment(options.since, session.now_ms());
    if (!since) return since.error().within("--since");
    query.since_ms = *since;
  }
  if (!options.until.empty()) {
    auto until = parse_moment(options.until, session.now_ms());
    if (!until) return until.error().within("--until");
    query.until_ms = *until;
  } else if (!options.follow) {
    query.until_ms = session.now_ms();
  }
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto lines = show_logs(session, *target, query);
  if (!lines) return lines.error();
  // The platform begins 15 minutes ago, or where the deployment began, unless it is told.
  if (*lines == 0 && !query.since_ms && query.deployment_id.empty())
    session.terminal().note(
        "No lines in the last 15 minutes; `--since 7d` looks further back, as far as logs are "
        "kept.");
  return 0;
}

/// What both logs have.
CLI::App* add_log_command(CLI::App& app, Options& options, const char* name, const char* purpose) {
  CLI::App* command = app.add_subcommand(name, purpose);
  add_app_options(*command, options.choice);
  command->add_flag("-f,--follow", options.follow, "Go on with new lines");
  command
      ->add_option(
          "--since", options.since,
          options.access
              ? "From then on: 2026-01-31T12:00:00Z, or 90s, 15m, 2h, 3d ago (default: 15m)"
              : "From then on: 2026-01-31T12:00:00Z, or 90s, 15m, 2h, 3d ago (default: "
                "15m, or the beginning of the --deployment-id)")
      ->type_name("TIME");
  command->add_option("--until", options.until, "Up to then (default: now)")->type_name("TIME");
  return command;
}

}  // namespace

void add_logs(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_log_command(app, *options, "logs", "The log of an app");
  command->add_option("--deployment-id", options->deployment_id, "Of one deployment")
      ->type_name("ID");
  command->add_option("-s,--search", options->search, "Only lines with this text")
      ->type_name("TEXT");
  add_format_option(*command, session);
  command->footer("With --format json each line is one JSON object.");
  when_chosen(*command, session, options, logs);
}

void add_access_logs(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  options->access = true;
  auto* command =
      add_log_command(app, *options, "accesslogs", "The requests that an app was asked");
  command->add_option("-s,--search", options->search, "Only requests with this text")
      ->type_name("TEXT");
  add_format_option(*command, session);
  command->footer(
      "A line: time, visitor, status, method, address, how long it took, bytes of the answer. With "
      "--format json each line is one JSON object.");
  when_chosen(*command, session, options, logs);
}

}  // namespace karreg::cli
