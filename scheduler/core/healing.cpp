// Keeping what serves alive. An instance that ended is replaced after a back-off; one that fails
// its checks or whose host is silent stays in service until its replacement is healthy: a doubtful
// answer beats none.
#include <algorithm>

#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

namespace {

/// Running but failing its checks, after it had passed them.
bool sick(const Instance& instance) {
  return !instance.healthy && instance.healthy_at.has_value() && instance.phase == "running";
}

bool lost(const Round& round, const Instance& instance) {
  return host_silent(round.world, instance, round.policy().host_lost_after, round.now);
}

/// When the slot may be filled again: 1 s, 2 s, 4 s ... after the last failure, counting the
/// failures of the last ten minutes.
Time next_start(const Round& round, const Deployment& deployment, int number) {
  Time last{};
  int failures = 0;
  for (const auto& [id, instance] : round.world.instances) {
    if (instance.deployment != deployment.uuid || !instance.runs() || instance.number != number ||
        !instance.unwanted_at || instance.slept)
      continue;
    if (round.now - *instance.unwanted_at > round.policy().backoff_window) continue;
    ++failures;
    last = std::max(last, *instance.unwanted_at);
  }
  if (failures == 0) return round.now;
  auto wait = round.policy().backoff_first;
  for (int i = 1; i < failures && wait < round.policy().backoff_most; ++i) wait *= 2;
  return last + std::min(wait, round.policy().backoff_most);
}

bool may_create(const Round& round, const Deployment& deployment, int number) {
  return round.now >= next_start(round, deployment, number) &&
         no_room(round.world, deployment.flavor, round.now).empty();
}

/// An instance of the slot that was to be replaced and has become well again, if any.
Instance* recovered(Round& round, const Deployment& deployment, int number) {
  for (auto& [id, instance] : round.world.instances)
    if (instance.deployment == deployment.uuid && instance.runs() && instance.number == number &&
        instance.alive() && instance.unwanted_at && instance.routed == Routed::yes &&
        instance.healthy && !instance.terminal() && !lost(round, instance))
      return &instance;
  return nullptr;
}

void heal_slot(Round& round, const Deployment& deployment, int number) {
  Instance* instance = in_slot(round, deployment, number);
  const std::string name = "Instance " + std::to_string(number);
  if (instance == nullptr) {
    if (Instance* well = recovered(round, deployment, number))
      well->unwanted_at.reset();
    else if (may_create(round, deployment, number))
      fill_slot(round, deployment, number);
    return;
  }
  if (!sick(*instance) && !lost(round, *instance)) return;
  if (!may_create(round, deployment, number)) return;
  round.note(deployment,
             name +
                 (sick(*instance) ? " fails its health checks (" + instance->detail + ")"
                                  : std::string(": its host does not answer")) +
                 ", starting another");
  if (instance->routed == Routed::yes)
    instance->unwanted_at = round.now;
  else
    give_up(round, *instance);
  fill_slot(round, deployment, number);
}

/// What ended by itself is out of service at once, and its slot is free.
void bury(Round& round, const App& app, const Deployment& serving) {
  for (auto& [id, instance] : round.world.instances) {
    if (instance.app_id != app.id || instance.deployment != serving.uuid || !instance.runs() ||
        !instance.alive() || !instance.terminal())
      continue;
    round.note(serving, "Instance " + std::to_string(instance.number) + " ended: " +
                            (instance.detail.empty() ? instance.phase : instance.detail));
    give_up(round, instance);
  }
}

/// Lets go of what no deployment holds: neither the one in service nor an open one.
void sweep(Round& round, const App& app) {
  for (auto& [id, instance] : round.world.instances) {
    // A job has an end of its own, whichever version serves.
    if (instance.app_id != app.id || !instance.alive() || instance.kind == InstanceKind::job)
      continue;
    const auto deployment = round.world.deployments.find(instance.deployment);
    const bool open = deployment != round.world.deployments.end() &&
                      deployment->second.state == DeploymentState::wip;
    if (app.deleted ||
        (!open && (instance.builds() || instance.deployment != app.serving_deployment)))
      begin_drain(round, instance);
  }
}

/// Whether a deployment of an app that allows downtime waits for the memory of what serves.
bool making_room(const Round& round, const App& app) {
  if (!app.homogeneous) return false;
  for (const auto& [uuid, deployment] : round.world.deployments)
    if (deployment.app_id == app.id && deployment.state == DeploymentState::wip &&
        deployment.phase == Phase::starting)
      return true;
  return false;
}

}  // namespace

void heal(Round& round, const App& app) {
  sweep(round, app);
  if (app.deleted) return;
  const auto found = round.world.deployments.find(app.serving_deployment);
  if (found == round.world.deployments.end()) return;
  const Deployment& serving = found->second;
  bury(round, app, serving);
  if (!making_room(round, app) && app.sleep != Sleep::asleep)
    for (int number = 0; number < serving.instances; ++number) heal_slot(round, serving, number);
  for (auto& [id, instance] : round.world.instances) {
    if (instance.deployment != serving.uuid || !instance.runs() || !instance.alive() ||
        !instance.healthy || instance.unwanted_at)
      continue;
    if (instance.routed == Routed::no) instance.routed = Routed::yes;
    // Its slot is served again: whom it replaces may go.
    for (auto& [other_id, other] : round.world.instances)
      if (other.deployment == serving.uuid && other.runs() && other.number == instance.number &&
          other.alive() && other.unwanted_at && other.routed == Routed::yes)
        begin_drain(round, other);
  }
}

}  // namespace karreg::scheduler
