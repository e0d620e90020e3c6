// From an artifact to all new instances healthy, and the switch. The platform's failures are tried
// again, the app's are not: its owner has to see them.
#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

namespace {

/// Why a new instance did not come up, for its owner.
std::string start_failure(const Instance& instance) {
  std::string why =
      "instance " + std::to_string(instance.number) + " did not start: " + instance.detail;
  if (!instance.last_lines.empty()) why += "\nThe end of its output:\n" + instance.last_lines;
  return why;
}

void switch_over(Round& round, App& app, Deployment& deployment) {
  for (auto& [id, instance] : round.world.instances) {
    if (instance.app_id != app.id || !instance.runs() || !instance.alive()) continue;
    if (instance.deployment == deployment.uuid)
      instance.routed = Routed::yes;
    else
      begin_drain(round, instance);
  }
  if (app.sleep != Sleep::awake) {
    app.sleep = Sleep::awake;
    app.sleep_since = round.now;
  }
  app.serving_deployment = deployment.uuid;
  app.commit = deployment.commit;
  // A scaling starts the version that serves already.
  if (const auto build = round.world.builds.find(deployment.build_id);
      build != round.world.builds.end() && deployment.action == Action::deploy)
    app.cron = build->second.cron;
  app.state = "SHOULD_BE_UP";
  enter(round, deployment, Phase::switching);
  round.note(deployment, "New version is healthy, moving traffic to it");
}

/// Lets the version in service go before the new one is up: only for applications that allow
/// downtime, and only when nothing else makes room.
void make_room(Round& round, const App& app, const Deployment& deployment) {
  if (!app.homogeneous || !host_is_up(round.world, round.now) ||
      room_comes(round.world, deployment.flavor, round.now))
    return;
  bool told = false;
  for (auto& [id, instance] : round.world.instances) {
    if (instance.app_id != app.id || !instance.runs() || instance.deployment == deployment.uuid ||
        !instance.alive() || instance.routed == Routed::draining)
      continue;
    if (!told)
      round.note(deployment,
                 "There is no room for both versions, stopping the old one first (this application "
                 "allows downtime)");
    told = true;
    begin_drain(round, instance);
  }
}

/// The instance of a slot of a deployment that starts, and how many were tried.
struct Attempt {
  Instance* present = nullptr;
  int tries = 0;
};

Attempt attempt_at(Round& round, const Deployment& deployment, int number) {
  Attempt attempt;
  for (auto& [id, instance] : round.world.instances) {
    if (instance.deployment != deployment.uuid || !instance.runs() || instance.number != number)
      continue;
    ++attempt.tries;
    if (instance.alive()) attempt.present = &instance;
  }
  return attempt;
}

enum class Slot { healthy, waiting, failed };

/// Brings one slot of a starting deployment on. On Slot::failed the deployment has ended.
Slot step_slot(Round& round, const App& app, Deployment& deployment, int number) {
  auto [present, tries] = attempt_at(round, deployment, number);
  if (present != nullptr && present->terminal()) {
    // A VM whose guest never spoke is the platform's failure, not the app's: one more try.
    if (present->phase == "failed" && !present->reached_guest && tries < 2) {
      round.note(deployment, "A VM did not start (" + present->detail + "), trying another");
      give_up(round, *present);
      present = nullptr;
    } else {
      const std::string why = start_failure(*present);
      end_deployment(round, deployment, DeploymentState::fail, why);
      return Slot::failed;
    }
  }
  const bool lost = present != nullptr &&
                    host_silent(round.world, *present, round.policy().host_lost_after, round.now);
  if (lost && no_room(round.world, deployment.flavor, round.now).empty()) {
    round.note(deployment, "The host of instance " + std::to_string(number) +
                               " does not answer, starting another");
    give_up(round, *present);
    present = nullptr;
  }
  if (present != nullptr) return present->healthy && !lost ? Slot::healthy : Slot::waiting;
  const std::string why = no_room(round.world, deployment.flavor, round.now);
  if (why.empty()) {
    fill_slot(round, deployment, number);
    deployment.message.clear();
    return Slot::waiting;
  }
  deployment.message = "waiting for room: " + why;
  make_room(round, app, deployment);
  // The VM that this one follows may hold the room for another moment.
  if (round.now - deployment.phase_since <= round.policy().capacity_timeout ||
      room_comes(round.world, deployment.flavor, round.now))
    return Slot::waiting;
  end_deployment(round, deployment, DeploymentState::fail,
                 "no room for a new instance: " + why +
                     "; stop something, choose a smaller size, or add a host");
  return Slot::failed;
}

}  // namespace

void step_starting(Round& round, App& app, Deployment& deployment) {
  bool all_healthy = true;
  for (int number = 0; number < deployment.instances; ++number) {
    const Slot slot = step_slot(round, app, deployment, number);
    if (slot == Slot::failed) return;
    all_healthy = all_healthy && slot == Slot::healthy;
  }
  if (all_healthy) {
    switch_over(round, app, deployment);
  } else if (round.now - deployment.phase_since > round.policy().starting_timeout) {
    std::string why = "the new instances were not ready within " +
                      seconds_between(deployment.phase_since, round.now);
    for (const auto& [id, instance] : round.world.instances)
      if (instance.deployment == deployment.uuid && instance.runs() && instance.alive() &&
          !instance.healthy)
        why += "; instance " + std::to_string(instance.number) + " is " + instance.phase +
               (instance.detail.empty() ? "" : " (" + instance.detail + ")");
    end_deployment(round, deployment, DeploymentState::fail, why);
  }
}

}  // namespace karreg::scheduler
