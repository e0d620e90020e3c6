// Keeping what serves alive: an instance that ended, whose host is lost, or that fails its health
// checks is replaced, with a back-off per slot.
#include <algorithm>

#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

Instance& create_instance(Round& round, const Deployment& deployment, int number) {
  Instance instance;
  instance.id = round.ids.instance();
  instance.app_id = deployment.app_id;
  instance.deployment = deployment.uuid;
  instance.number = number;
  instance.flavor = deployment.flavor;
  instance.created_at = round.now;
  return round.world.instances[instance.id] = instance;
}

void begin_drain(Round& round, Instance& instance) {
  if (!instance.unwanted_at) instance.unwanted_at = round.now;
  if (instance.routed == Routed::yes)
    instance.routed = Routed::draining;
  else if (instance.routed == Routed::no)
    give_up(round, instance);
}

void give_up(Round& round, Instance& instance) {
  if (!instance.unwanted_at) instance.unwanted_at = round.now;
  instance.wanted = false;
  instance.routed = Routed::no;
  instance.healthy = false;
  if (instance.host_id.empty()) instance.ended_at = round.now;  // it never was anywhere
}

void step_drains(Round& round) {
  for (auto& [id, instance] : round.world.instances) {
    if (instance.routed != Routed::draining) continue;
    // Its version is given by step_routes(), at the end of the round in which the drain begins.
    if (instance.routed_version == 0) continue;
    bool done = !instance.terminal();
    for (const auto& [proxy_id, proxy] : round.world.proxies) {
      if (!is_live(proxy, round.policy(), round.now)) continue;
      const auto open = proxy.draining.find(id);
      const bool idle = open == proxy.draining.end() || open->second == 0;
      done = done && proxy.version >= instance.routed_version && idle;
    }
    const bool late = round.now - *instance.unwanted_at > round.policy().drain_timeout;
    if (done || late || instance.terminal()) give_up(round, instance);
  }
}

Instance* in_slot(Round& round, const Deployment& deployment, int number) {
  Instance* newest = nullptr;
  for (auto& [id, instance] : round.world.instances) {
    if (instance.deployment != deployment.uuid || instance.build || instance.number != number ||
        !instance.alive() || instance.unwanted_at)
      continue;
    if (newest == nullptr || instance.created_at > newest->created_at) newest = &instance;
  }
  return newest;
}

namespace {

bool host_lost(const Round& round, const Instance& instance) {
  if (instance.host_id.empty()) return false;
  const auto host = round.world.hosts.find(instance.host_id);
  return host == round.world.hosts.end() ||
         round.now - host->second.last_seen > round.world.policy.host_lost_after;
}

/// Running but failing its checks, after it had passed them.
bool sick(const Instance& instance) {
  return !instance.healthy && instance.healthy_at.has_value() && instance.phase == "running";
}

/// When the slot may be filled again: 1 s, 2 s, 4 s ... after the last failure, counting the
/// failures of the last ten minutes.
Time next_start(const Round& round, const Deployment& deployment, int number) {
  Time last{};
  int failures = 0;
  for (const auto& [id, instance] : round.world.instances) {
    if (instance.deployment != deployment.uuid || instance.build || instance.number != number ||
        !instance.unwanted_at)
      continue;
    if (round.now - *instance.unwanted_at > round.world.policy.backoff_window) continue;
    ++failures;
    last = std::max(last, *instance.unwanted_at);
  }
  if (failures == 0) return round.now;
  auto wait = round.world.policy.backoff_first;
  for (int i = 1; i < failures && wait < round.world.policy.backoff_most; ++i) wait *= 2;
  return last + std::min(wait, round.world.policy.backoff_most);
}

void heal_slot(Round& round, const Deployment& deployment, int number) {
  Instance* instance = in_slot(round, deployment, number);
  if (instance != nullptr && (instance->terminal() || host_lost(round, *instance))) {
    const std::string why = instance->terminal() ? instance->detail : "its host does not answer";
    round.note(deployment,
               "Instance " + std::to_string(number) + " is gone (" + why + "), replacing it");
    give_up(round, *instance);
    instance = nullptr;
  }
  if (instance != nullptr && sick(*instance)) {
    // It stays in service until another one can take over: a doubtful answer beats none.
    round.note(deployment, "Instance " + std::to_string(number) + " fails its health checks (" +
                               instance->detail + "), replacing it");
    instance->unwanted_at = round.now;
    instance = nullptr;
  }
  if (instance == nullptr && round.now >= next_start(round, deployment, number) &&
      no_room(round.world, deployment.flavor, round.now).empty())
    create_instance(round, deployment, number);
}

}  // namespace

void heal(Round& round, const App& app) {
  if (app.deleted) {
    for (auto& [id, instance] : round.world.instances)
      if (instance.app_id == app.id && instance.alive()) {
        if (instance.build)
          give_up(round, instance);
        else
          begin_drain(round, instance);
      }
    return;
  }
  const auto serving = round.world.deployments.find(app.serving_deployment);
  if (serving == round.world.deployments.end()) return;
  const Deployment& deployment = serving->second;
  for (int number = 0; number < deployment.instances; ++number)
    heal_slot(round, deployment, number);
  bool healthy_in_service = false;
  for (auto& [id, instance] : round.world.instances) {
    if (instance.deployment != deployment.uuid || instance.build || !instance.alive()) continue;
    if (instance.healthy && !instance.unwanted_at && instance.routed == Routed::no)
      instance.routed = Routed::yes;
    healthy_in_service = healthy_in_service || (instance.healthy && instance.routed == Routed::yes);
  }
  if (!healthy_in_service) return;
  for (auto& [id, instance] : round.world.instances)
    if (instance.deployment == deployment.uuid && !instance.build && instance.alive() &&
        instance.unwanted_at && instance.routed == Routed::yes)
      begin_drain(round, instance);
}

}  // namespace karreg::scheduler
