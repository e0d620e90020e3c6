#include "images/guest/job.hpp"

#include "images/guest/run.hpp"

namespace karreg::guest {

namespace {
/// As timeout(1) has it.
constexpr int time_over = 124;
}  // namespace

wire::guest::Exit run_job(Supervisor& supervisor, const wire::guest::Config& config) {
  const auto& job = config.job;
  Child child = app_child(config, job.workdir);
  child.argv = shell_command(job.command);
  supervisor.say("starting");
  const Ended ended = supervisor.run(child, Clock::now() + std::chrono::milliseconds(job.wall_ms));
  wire::guest::Exit exit{ended.exit_code, ended.signal, ended.oom,
                         "the command " + ended.sentence(), ended.timed_out};
  if (ended.stopped) exit.reason = "the command was stopped";
  if (ended.timed_out) {
    exit.reason =
        "the command was ended: its time limit of " + duration(job.wall_ms) + " was reached";
    if (exit.exit_code == 0 && exit.signal == 0) exit.exit_code = time_over;
  }
  return exit;
}

}  // namespace karreg::guest
