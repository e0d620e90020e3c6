// The times of crons. Each entry of an app in service has a mark up to which its times have been
// dealt with; a time that has come since makes one job, whatever the number of instances. What was
// missed (nobody decided then) is skipped, or done once when the entry wants that; and nothing runs
// twice at a time.
#include "common/cron.hpp"

#include <algorithm>
#include <set>

#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

namespace {

/// The times of an entry that have come.
struct Come {
  std::optional<Time> newest;
  int earlier = 0;
};

Come times_between(const CronSchedule& schedule, Time after, Time until) {
  Come come;
  auto next = schedule.next_after(std::chrono::floor<std::chrono::seconds>(after));
  for (; next <= until; next = schedule.next_after(next)) {
    if (come.newest) ++come.earlier;
    come.newest = next;
  }
  return come;
}

bool still_goes_on(const Round& round, const CronKey& key) {
  return std::ranges::any_of(round.world.jobs, [&](const auto& entry) {
    const Job& job = entry.second;
    return job.kind == JobKind::cron && job.open() && job.app_id == key.app_id &&
           job.schedule == key.schedule && job.command == key.command;
  });
}

void make_job(Round& round, const App& app, const wire::CronEntry& entry, const Come& come,
              const CronKey& key) {
  Job job;
  job.id = round.ids.job();
  job.app_id = app.id;
  job.deployment = app.serving_deployment;
  job.kind = JobKind::cron;
  job.command = entry.command;
  job.schedule = entry.schedule;
  job.due = come.newest;
  job.flavor = round.world.deployments.at(app.serving_deployment).flavor;
  job.wall = milliseconds(entry.wall_ms);
  job.requested_at = round.now;
  const bool missed = round.now - *come.newest > round.policy().cron_late;
  std::string why;
  if (still_goes_on(round, key))
    why = "its last run still goes on";
  else if (missed && !entry.catch_up)
    why = "the platform was not there at its time";
  if (!why.empty() && come.earlier > 0)
    why += ", and not at " + std::to_string(come.earlier) + " before it";
  Job& kept = round.world.jobs[job.id] = std::move(job);
  if (!why.empty()) end_job(round, kept, JobState::skipped, why);
}

}  // namespace

void step_cron(Round& round, const App& app) {
  std::set<CronKey> present;
  const bool serves = !app.deleted && app.state == "SHOULD_BE_UP" &&
                      round.world.deployments.contains(app.serving_deployment);
  if (serves) {
    for (const auto& entry : app.cron) {
      const auto schedule = CronSchedule::parse(entry.schedule);
      // The builder has checked it; one that this program cannot read is one of a newer one.
      if (!schedule) continue;
      const CronKey key{app.id, entry.schedule, entry.command};
      present.insert(key);
      const auto [mark, fresh] = round.world.cron_marks.try_emplace(key, round.now);
      const Come come = times_between(*schedule, mark->second, round.now);
      if (!come.newest) continue;
      mark->second = *come.newest;
      make_job(round, app, entry, come, key);
    }
  }
  // One that comes back, or whose app starts again, begins then.
  for (auto it = round.world.cron_marks.lower_bound({app.id, "", ""});
       it != round.world.cron_marks.end() && it->first.app_id == app.id;)
    it = present.contains(it->first) ? std::next(it) : round.world.cron_marks.erase(it);
}

}  // namespace karreg::scheduler
