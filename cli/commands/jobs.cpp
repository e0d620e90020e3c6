#include "cli/commands/commands.hpp"
#include "cli/job.hpp"
#include "cli/times.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  std::string id;
  std::string kind;
  int limit = 20;
};

constexpr std::size_t shown_command = 50;

/// The beginning of a command, on one line.
std::string short_command(const std::string& command) {
  std::string line = command.substr(0, command.find('\n'));
  if (line.size() > shown_command) line = line.substr(0, shown_command);
  if (line.size() < command.size()) line += " ...";
  return harmless(line);
}

std::string outcome(const Job& job) {
  if (!job.exit_code || job.state == "succeeded") return job.state;
  return job.state + " (" + std::to_string(*job.exit_code) + ")";
}

Result<int> list(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto all = (*api)->get(target->path() + "/jobs?limit=" + std::to_string(options.limit) +
                         (options.kind.empty() ? "" : "&kind=" + options.kind));
  if (!all) return all.error();
  if (session.print_json(*all)) return 0;
  Table table({"TIME (UTC)", "KIND", "STATE", "ID", "COMMAND"});
  for (const Json& each : *all) {
    auto job = parse_job(each);
    if (!job) return job.error();
    table.row({readable_time(job->due.empty() ? job->requested_at : job->due), job->kind,
               outcome(*job), job->id, short_command(job->command)});
  }
  if (table.empty())
    session.terminal().note(target->name +
                            " has run no command yet: no task, no cron, no release command.");
  else
    table.print(session.terminal());
  return 0;
}

Result<int> show(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto answer = (*api)->get(target->path() + "/jobs/" + options.id);
  if (!answer) return answer.error();
  if (session.print_json(*answer)) return 0;
  auto job = parse_job(*answer);
  if (!job) return job.error();
  Terminal& terminal = session.terminal();
  terminal.print(job->kind + ": " + harmless(job->command));
  terminal.print("state: " + outcome(*job) +
                 (job->message.empty() ? "" : " (" + harmless(job->message) + ")"));
  for (const auto& [name, time] :
       {std::pair{"due", job->due}, std::pair{"asked", job->requested_at},
        std::pair{"began", job->started_at}, std::pair{"ended", job->ended_at}})
    if (!time.empty()) terminal.print(std::string(name) + ": " + readable_time(time));
  return 0;
}

Result<int> stop(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto done = (*api)->remove(target->path() + "/jobs/" + options.id);
  if (!done) return done.error();
  if (session.print_json({{"id", options.id}, {"cancel_requested", true}})) return 0;
  session.terminal().note("Stopping job " + options.id + " of " + target->name + ".");
  return 0;
}

Result<int> crons(Session& session, const Options& options) {
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto all = (*api)->get(target->path() + "/crons");
  if (!all) return all.error();
  if (session.print_json(*all)) return 0;
  Table table({"SCHEDULE (UTC)", "NEXT", "LAST", "STATE", "COMMAND"});
  for (const Json& each : *all) {
    std::string last;
    std::string state;
    if (const auto found = each.find("last"); found != each.end() && found->is_object()) {
      auto job = parse_job(*found);
      if (!job) return job.error();
      last = readable_time(job->due);
      state = outcome(*job);
    }
    const auto next = each.find("next");
    table.row(
        {each.value("schedule", ""),
         next != each.end() && next->is_string() ? readable_time(next->get<std::string>()) : "",
         last.empty() ? "-" : last, state.empty() ? "-" : state,
         short_command(each.value("command", ""))});
  }
  if (table.empty())
    session.terminal().note("The version of " + target->name +
                            " in service has no cron; docs/processes.md says how it gets one.");
  else
    table.print(session.terminal());
  return 0;
}

}  // namespace

void add_jobs(CLI::App& app, Session& session) {
  CLI::App* group = app.add_subcommand(
      "jobs", "Commands that ran once: tasks, crons, release commands; kept for 30 days");
  group->require_subcommand(1);
  auto options = std::make_shared<Options>();
  CLI::App* listing =
      add_app_command(*group, session, "list", "Show them, newest first", options, list);
  listing->add_option("--kind", options->kind, "Only release, cron or task")
      ->check(CLI::IsMember({"release", "cron", "task"}))
      ->type_name("KIND");
  listing->add_option("-n,--limit", options->limit, "How many (default: 20)")
      ->check(CLI::Range(1, 1000))
      ->type_name("NUMBER");
  for (auto [name, text, what] :
       {std::tuple{"show", "What became of one", &show}, std::tuple{"stop", "Stop one", &stop}})
    add_app_command(*group, session, name, text, options, what)
        ->add_option("ID", options->id, "The job")
        ->required()
        ->type_name("");
}

void add_cron(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  add_app_command(app, session, "cron", "The times of an app's cron, and how its last runs went",
                  options, crons);
}

}  // namespace karreg::cli
