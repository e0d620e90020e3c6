// Crons: one job a time, whatever the number of instances; none twice, none at once with itself.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;

namespace {

/// A version in service, with one entry.
std::string an_app_with_cron(APlatform& p, karreg::wire::CronEntry entry, int instances = 1) {
  const std::string d = p.push("app", Action::deploy, instances).uuid;
  p.settle();
  p.build_of(d).cron = {std::move(entry)};
  p.bring_up(d);
  return d;
}

karreg::wire::CronEntry every_five_minutes() {
  return {"*/5 * * * *", "rake mail", 600'000, false};
}

/// Lets time pass by seconds, in which VMs of crons end well after @p takes.
void live_through(APlatform& p, milliseconds time, milliseconds takes) {
  for (milliseconds passed{0}; passed < time; passed += 1s) {
    p.pass(1s);
    p.proxies_acknowledge();
    // Names first: with each end the world is another one.
    std::vector<std::string> over;
    for (const Job* job : p.jobs(JobKind::cron))
      if (job->started_at && job->open() && p.now - *job->started_at >= takes)
        over.push_back(job->id);
    for (const std::string& id : over) p.ends(p.vm_of_job(id), 0);
    p.agents_clean_up();
  }
}

}  // namespace

TEST_CASE("a cron runs at its times, once however many instances there are") {
  APlatform p;  // it is midnight
  const std::string d = an_app_with_cron(p, every_five_minutes(), 3);
  live_through(p, 16min, 3s);
  const auto jobs = p.jobs(JobKind::cron);
  REQUIRE(jobs.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(jobs[i]->state == JobState::succeeded);
    CHECK(jobs[i]->due == Time{std::chrono::hours(24) + std::chrono::minutes(5) * (i + 1)});
    CHECK(jobs[i]->deployment == d);
    CHECK(jobs[i]->wall == 600s);
    CHECK(jobs[i]->command == "rake mail");
  }
}

TEST_CASE("a time that comes while the last run goes on is skipped, and that is on record") {
  APlatform p;
  an_app_with_cron(p, every_five_minutes());
  live_through(p, 16min, 6min);
  const auto jobs = p.jobs(JobKind::cron);
  REQUIRE(jobs.size() == 3);
  CHECK(jobs[0]->state == JobState::succeeded);
  CHECK(jobs[1]->state == JobState::skipped);
  CHECK(jobs[1]->message == "its last run still goes on");
  CHECK(jobs[1]->ended_at.has_value());
  CHECK(jobs[2]->state == JobState::running);
}

TEST_CASE("times that were missed are skipped, or done once") {
  APlatform p;
  auto entry = every_five_minutes();
  entry.catch_up = GENERATE(false, true);
  an_app_with_cron(p, entry);
  p.pass(33min);  // nobody decided
  const auto jobs = p.jobs(JobKind::cron);
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0]->due == Time{std::chrono::hours(24) + 30min});
  if (entry.catch_up) {
    CHECK(jobs[0]->state == JobState::running);
  } else {
    CHECK(jobs[0]->state == JobState::skipped);
    CHECK(jobs[0]->message == "the platform was not there at its time, and not at 5 before it");
  }
}

TEST_CASE("a new version brings its own times, and those that stay go on") {
  APlatform p;
  an_app_with_cron(p, every_five_minutes());
  live_through(p, 4min, 1s);
  const std::string green = p.push().uuid;
  p.settle();
  p.build_of(green).cron = {every_five_minutes(), {"* * * * *", "rake count", 60'000, false}};
  p.bring_up(green);
  live_through(p, 90s, 1s);
  std::map<std::string, int> runs;
  for (const Job* job : p.jobs(JobKind::cron)) ++runs[job->command];
  CHECK(runs == std::map<std::string, int>{{"rake mail", 1}, {"rake count", 1}});
  for (const Job* job : p.jobs(JobKind::cron)) CHECK(job->deployment == green);
  p.deploy();  // has none
  live_through(p, 10min, 1s);
  CHECK(p.jobs(JobKind::cron).size() == 2);
  CHECK(p.world.cron_marks.empty());
}

TEST_CASE("an app that is stopped has no crons; when it starts again nothing was missed") {
  APlatform p;
  auto entry = every_five_minutes();
  entry.catch_up = true;
  an_app_with_cron(p, entry);
  p.push("app", Action::undeploy);
  p.settle();
  p.proxies_acknowledge();
  p.agents_clean_up();
  live_through(p, 11min, 1s);
  CHECK(p.jobs(JobKind::cron).empty());
  an_app_with_cron(p, entry);
  CHECK(p.jobs(JobKind::cron).empty());
  live_through(p, 5min, 1s);
  CHECK(p.jobs(JobKind::cron).size() == 1);
}

TEST_CASE("crons run while their app sleeps, and do not wake it") {
  APlatform p;
  an_app_with_cron(p, every_five_minutes());
  p.app().sleep_after = 60s;
  live_through(p, 4min, 1s);
  REQUIRE(p.app().sleep == Sleep::asleep);
  live_through(p, 2min, 10s);
  CHECK(p.jobs(JobKind::cron).size() == 1);
  CHECK(p.app().sleep == Sleep::asleep);
}

TEST_CASE("scaling changes nothing of the times") {
  APlatform p;
  an_app_with_cron(p, every_five_minutes());
  live_through(p, 2min, 1s);
  const std::string up = p.push("app", Action::upscale, 2).uuid;
  p.bring_up(up);
  live_through(p, 4min, 1s);
  CHECK(p.jobs(JobKind::cron).size() == 1);
  CHECK(p.jobs(JobKind::cron).front()->deployment == up);
}
