// Commands that run once, each in a VM of its own: queued -> running -> succeeded | failed |
// cancelled. A VM whose guest never spoke is tried again once, since nothing has run in it; after
// that a job is never begun anew: whether half of it can be repeated is for its owner to know.
#include <algorithm>

#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

namespace {

const char* title_of(const Job& job) {
  switch (job.kind) {
    case JobKind::release:
      return "The release command";
    case JobKind::cron:
      return "Cron";
    case JobKind::task:
      return "Task";
  }
  return "Job";
}

/// "Cron `rake mail`": for the log of the app; a command of many lines by its first.
std::string name_of(const Job& job) {
  constexpr std::size_t most = 80;
  std::string line = job.command.substr(0, job.command.find('\n'));
  if (line.size() > most) line = line.substr(0, most);
  if (line.size() < job.command.size()) line += " ...";
  return std::string(title_of(job)) + " `" + line + "`";
}

void tell(Round& round, const Job& job, std::string text) {
  round.notes.push_back({job.app_id, job.deployment, std::move(text)});
}

struct Attempt {
  Instance* present = nullptr;
  int tries = 0;
};

Attempt attempt_at(Round& round, const Job& job) {
  Attempt attempt;
  for (auto& [id, instance] : round.world.instances) {
    if (instance.job_id != job.id) continue;
    ++attempt.tries;
    if (instance.alive()) attempt.present = &instance;
  }
  return attempt;
}

void find_place(Round& round, Job& job) {
  const std::string why = no_room(round.world, job.flavor, round.now);
  if (!why.empty()) {
    job.message = "waiting for room: " + why;
    if (round.now - job.requested_at > round.policy().capacity_timeout &&
        !room_comes(round.world, job.flavor, round.now))
      end_job(round, job, JobState::failed, "no room for it: " + why);
    return;
  }
  create_instance(round, InstanceKind::job, job.app_id, job.deployment, job.flavor).job_id = job.id;
  job.message.clear();
}

/// What its VM says of a job that has one.
void watch(Round& round, Job& job, Instance& vm, int tries) {
  // Placed: what found no host is not kept, and made again.
  if (!vm.host_id.empty() && job.instance != vm.id) {
    if (!job.started_at) job.started_at = round.now;
    job.state = JobState::running;
    job.instance = vm.id;
  }
  if (vm.phase == "exited" && vm.exit) {
    job.exit_code = vm.exit->signal != 0 ? 128 + vm.exit->signal : vm.exit->exit_code;
    const bool good = *job.exit_code == 0 && !vm.exit->timed_out;
    end_job(round, job, good ? JobState::succeeded : JobState::failed, vm.exit->reason);
  } else if (vm.phase == "failed" && !vm.reached_guest && tries < 2) {
    tell(round, job, name_of(job) + ": its VM did not start (" + vm.detail + "), trying another");
    give_up(round, vm);
  } else if (vm.terminal()) {
    end_job(round, job, JobState::failed, vm.detail.empty() ? "its VM ended" : vm.detail);
  } else if (host_silent(round.world, vm, round.policy().host_lost_after, round.now)) {
    end_job(round, job, JobState::failed,
            "its host does not answer: whether the command has ended is not known");
  }
}

}  // namespace

void end_job(Round& round, Job& job, JobState state, std::string message) {
  job.state = state;
  job.message = std::move(message);
  job.ended_at = round.now;
  for (auto& [id, instance] : round.world.instances)
    if (instance.job_id == job.id && instance.alive()) give_up(round, instance);
  const std::string name = name_of(job);
  if (state == JobState::succeeded)
    tell(round, job,
         name + " succeeded in " +
             seconds_between(job.started_at.value_or(job.requested_at), round.now));
  else
    tell(round, job,
         name +
             (state == JobState::cancelled ? " was cancelled: "
              : state == JobState::skipped ? " is skipped: "
                                           : " failed: ") +
             job.message);
}

void step_jobs(Round& round, const App& app) {
  for (auto& [id, job] : round.world.jobs) {
    if (job.app_id != app.id || !job.open()) continue;
    if (app.deleted) {
      end_job(round, job, JobState::cancelled, "the application was deleted");
      continue;
    }
    if (job.cancel_requested) {
      end_job(round, job, JobState::cancelled, "cancelled on request");
      continue;
    }
    auto [vm, tries] = attempt_at(round, job);
    if (vm == nullptr)
      find_place(round, job);
    else
      watch(round, job, *vm, tries);
  }
}

void begin_release(Round& round, Deployment& deployment, const std::string& command) {
  Job job;
  job.id = round.ids.job();
  job.app_id = deployment.app_id;
  job.deployment = deployment.uuid;
  job.kind = JobKind::release;
  job.command = command;
  job.flavor = deployment.flavor;
  job.wall = round.policy().release_timeout;
  job.requested_at = round.now;
  round.note(deployment, "Running the release command: " + command);
  round.world.jobs[job.id] = std::move(job);
  enter(round, deployment, Phase::releasing);
}

void step_release(Round& round, Deployment& deployment) {
  const auto found = std::ranges::find_if(round.world.jobs, [&](const auto& entry) {
    return entry.second.deployment == deployment.uuid && entry.second.kind == JobKind::release;
  });
  if (found == round.world.jobs.end()) {
    end_deployment(round, deployment, DeploymentState::fail,
                   "its release command is missing from the database");
    return;
  }
  const Job& job = found->second;
  if (job.open()) {
    deployment.message = job.message;
    return;
  }
  deployment.message.clear();
  if (job.state == JobState::succeeded) {
    enter(round, deployment, Phase::starting);
    return;
  }
  std::string why = "the release command did not succeed: " + job.message;
  const auto vm = round.world.instances.find(job.instance);
  if (vm != round.world.instances.end() && !vm->second.last_lines.empty())
    why += "\nThe end of its output:\n" + vm->second.last_lines;
  end_deployment(round, deployment, DeploymentState::fail, why);
}

}  // namespace karreg::scheduler
