#include "cli/child.hpp"
#include "cli/commands/commands.hpp"
#include "cli/job.hpp"
#include "cli/times.hpp"

namespace karreg::cli {
namespace {

struct Options {
  AppChoice choice;
  std::vector<std::string> words;
  std::string size;
  std::string time_limit;
  bool detach = false;
};

Result<int> run_task(Session& session, const Options& options) {
  Json body = {{"command", shell_line(options.words)}};
  if (!options.size.empty()) body["flavor"] = options.size;
  if (!options.time_limit.empty()) {
    auto span = parse_span(options.time_limit);
    if (!span) return span.error().within("--time-limit");
    body["timeLimit"] = *span;
  }
  auto target = session.target(options.choice);
  if (!target) return target.error();
  auto api = session.api();
  if (!api) return api.error();
  auto answer = (*api)->post(target->path() + "/jobs", body);
  if (!answer) return answer.error();
  auto job = parse_job(*answer);
  if (!job) return job.error();
  Terminal& terminal = session.terminal();
  if (options.detach) {
    if (!session.print_json(*answer)) terminal.print(job->id);
    return 0;
  }
  terminal.note("Task " + job->id + ": starting a VM of " + target->name + " ...");
  detach_on_interrupt(
      "\nDetached: the task goes on. `karreg jobs` shows it, `karreg jobs stop ID` stops it.\n");
  auto ended = follow_job(session, *target, *job);
  if (!ended) return ended.error();
  if (session.json()) {
    auto last = (*api)->get(target->path() + "/jobs/" + ended->id);
    if (!last) return last.error();
    session.print_json(*last);
  } else if (ended->state != "succeeded") {
    terminal.fail("The task " + ended->state +
                  (ended->message.empty() ? "." : ": " + harmless(ended->message) + "."));
  }
  return ended->exit_code.value_or(no_exit_code);
}

}  // namespace

void add_run(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  CLI::App* command = add_app_command(app, session, "run",
                                      "Run a command once, in a fresh VM of the version in service",
                                      options, run_task);
  command->add_option("COMMAND", options->words, "The command; one word is a line for a shell")
      ->required()
      ->type_name("");
  command->add_option("--size", options->size, "The size of its VM (default: that of the app)")
      ->type_name("SIZE");
  command
      ->add_option("--time-limit", options->time_limit,
                   "It is ended after it: 90s, 15m, up to 24h (default: 1h)")
      ->type_name("TIME");
  command->add_flag("-d,--detach", options->detach, "Print its id and do not wait for it");
  command->footer(
      "Example: karreg run -- npm run seed -- --fast\n"
      "The exit code is the command's, 128 + n when a signal n ended it, and 125 when it did not "
      "come to an end of its own: it was stopped, or could not be started.");
}

}  // namespace karreg::cli
