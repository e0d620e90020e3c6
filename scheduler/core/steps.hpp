#pragma once
/// The steps of advance(), each in a file of its own.

#include "scheduler/core/world.hpp"

namespace karreg::scheduler {

/// The world being changed, and what the steps share.
struct Round {
  World& world;
  Time now;
  IdSource& ids;
  std::vector<Note>& notes;
  std::vector<std::string> build_queue = {};  ///< that wait for room, the longest first

  const Policy& policy() const { return world.policy; }
  void note(const Deployment& deployment, std::string text) {
    notes.push_back({deployment.app_id, deployment.uuid, std::move(text)});
  }
};

/// deployments.cpp: queue, supersede, cancel, and the phases of the active deployment of one app.
void step_deployments(Round& round, App& app);
/// builds.cpp: the builds that wait for room alone, the longest first.
std::vector<std::string> waiting_builds(const Round& round);
/// builds.cpp: all apps, in the order of the queue of builds, so that the room that came is theirs.
std::vector<App*> in_turn(Round& round);
/// starting.cpp: a deployment in phase `starting`; switches over when all is healthy.
void step_starting(Round& round, App& app, Deployment& deployment);
/// builds.cpp: the build of a deployment in phase `building`.
void step_build(Round& round, const App& app, Deployment& deployment);
/// jobs.cpp: the release command of a deployment that enters phase `releasing`.
void begin_release(Round& round, Deployment& deployment, const std::string& command);
/// jobs.cpp: a deployment in phase `releasing`.
void step_release(Round& round, Deployment& deployment);
/// jobs.cpp: ends @p job, whose VM, if any, is given up; it says so to the owner.
void end_job(Round& round, Job& job, JobState state, std::string message);
/// jobs.cpp: the open jobs of one app.
void step_jobs(Round& round, const App& app);
/// cron.cpp: makes jobs of the times of one app's cron.
void step_cron(Round& round, const App& app);
/// rolls.cpp: all running rolls.
void step_rolls(Round& round);
/// images.cpp: tells the owner of an app, once, that there is a newer image.
void step_image_news(Round& round, const App& app);
/// images.cpp: the image of @p runtime that the catalogue names, if any.
const std::pair<const ImageKey, Image>* current_image(const World& world,
                                                      const std::string& runtime);
/// deployments.cpp: whether a deployment of @p app is open.
const Deployment* open_deployment(const Round& round, const App& app);
/// healing.cpp: keeps what is in service at its number: replaces what ended, fails its checks, or
/// is on a lost host; lets go of what nothing holds.
void heal(Round& round, const App& app);
/// sleeping.cpp: whether the app sleeps, wakes, or serves.
void step_sleep(Round& round, App& app);
/// instances.cpp: whether a proxy that counts has requests in flight to an instance that it has
/// left out of its table.
bool has_in_flight(const Round& round, const Instance& instance);
/// instances.cpp: the newest instance of a slot that is not given up, if any.
Instance* in_slot(Round& round, const Deployment& deployment, int number);
/// instances.cpp: makes an instance; placement gives it a host.
Instance& create_instance(Round& round, InstanceKind kind, const std::string& app_id,
                          const std::string& deployment, const std::string& flavor);
/// instances.cpp: makes an instance of kind run for a slot.
void fill_slot(Round& round, const Deployment& deployment, int number);
/// instances.cpp: takes an instance out of service and lets it finish what it has.
void begin_drain(Round& round, Instance& instance);
/// instances.cpp: stops an instance at once.
void give_up(Round& round, Instance& instance);
/// instances.cpp: ends drains whose requests are done.
void step_drains(Round& round);
/// instances.cpp: counts as ended what is to stop on hosts that have been silent for too long.
void step_forgotten(Round& round);
/// placement.cpp: hosts for instances that have none.
void place(Round& round);
/// placement.cpp: why an instance of @p flavor and @p kind finds no host; empty when it does.
std::string no_room(const World& world, const std::string& flavor, Time now,
                    InstanceKind kind = InstanceKind::run);
/// placement.cpp: whether there will be room once the VMs that are being stopped are gone.
bool room_comes(const World& world, const std::string& flavor, Time now);
/// placement.cpp: whether there will be room for a build once all builds have ended, too.
bool room_after_builds(const World& world, const std::string& flavor, Time now);
/// placement.cpp: whether any host could get an instance, if it had the memory.
bool host_is_up(const World& world, Time now);
/// routing.cpp: the route table that follows from instances; a change gets the next version.
void step_routes(Round& round);
/// Sets phase and its time.
void enter(Round& round, Deployment& deployment, Phase phase);
/// Ends a deployment and lets go of what it made, unless it serves.
void end_deployment(Round& round, Deployment& deployment, DeploymentState state,
                    std::string message);

}  // namespace karreg::scheduler
