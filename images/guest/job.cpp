#include "images/guest/job.hpp"

#include <unistd.h>

#include "images/guest/run.hpp"

namespace karreg::guest {

namespace {

const char* shell() {
  return ::access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";
}

std::string limit_of(std::int64_t wall_ms) {
  return wall_ms % 1000 == 0 ? std::to_string(wall_ms / 1000) + " s"
                             : std::to_string(wall_ms) + " ms";
}

}  // namespace

wire::guest::Exit run_job(Supervisor& supervisor, const wire::guest::Config& config) {
  const auto& job = config.job;
  Child command;
  command.argv = {shell(), "-c", job.command};
  command.env = app_environment(config);
  command.directory = job.workdir;
  supervisor.say("starting");
  const Ended ended =
      supervisor.run(command, Clock::now() + std::chrono::milliseconds(job.wall_ms));
  std::string reason = "the command " + ended.sentence();
  if (ended.stopped) reason = "the command was stopped";
  if (ended.timed_out)
    reason = "the command took longer than its limit of " + limit_of(job.wall_ms);
  return {ended.exit_code, ended.signal, ended.oom, reason, ended.timed_out};
}

}  // namespace karreg::guest
