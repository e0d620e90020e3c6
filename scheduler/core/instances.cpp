// The life of one instance: made, put out of service, drained, given up.
#include <algorithm>

#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

Instance& create_instance(Round& round, InstanceKind kind, const std::string& app_id,
                          const std::string& deployment, const std::string& flavor) {
  Instance instance;
  instance.id = round.ids.instance();
  instance.kind = kind;
  instance.app_id = app_id;
  instance.deployment = deployment;
  instance.flavor = flavor;
  instance.created_at = round.now;
  return round.world.instances[instance.id] = instance;
}

void fill_slot(Round& round, const Deployment& deployment, int number) {
  create_instance(round, InstanceKind::run, deployment.app_id, deployment.uuid, deployment.flavor)
      .number = number;
}

void begin_drain(Round& round, Instance& instance) {
  switch (instance.routed) {
    case Routed::draining:
      return;
    case Routed::no:
      give_up(round, instance);
      return;
    case Routed::yes:
      instance.unwanted_at = round.now;
      instance.routed = Routed::draining;
      instance.routed_version = 0;  // step_routes() gives it
  }
}

void give_up(Round& round, Instance& instance) {
  if (!instance.unwanted_at) instance.unwanted_at = round.now;
  instance.wanted = false;
  instance.routed = Routed::no;
  instance.healthy = false;
  if (instance.host_id.empty()) instance.ended_at = round.now;  // it never was anywhere
}

namespace {

/// Whether all proxies that count have left @p instance out of their tables, and whether one of
/// them still has requests in flight to it.
struct Drain {
  bool left_out = true;
  bool in_flight = false;
};

Drain drain_of(const Round& round, const Instance& instance) {
  Drain drain;
  for (const auto& [proxy_id, proxy] : round.world.proxies) {
    // Who sleeps has time: nobody who may have its requests is left unasked.
    const bool counts = instance.slept ? is_in_service(round.world, proxy, round.now)
                                       : is_live(round.world, proxy, round.now);
    if (!counts) continue;
    if (proxy.version < instance.routed_version) drain.left_out = false;
    const auto open = proxy.draining.find(instance.id);
    if (open != proxy.draining.end() && open->second > 0) drain.in_flight = true;
  }
  return drain;
}

}  // namespace

bool has_in_flight(const Round& round, const Instance& instance) {
  return drain_of(round, instance).in_flight;
}

void step_drains(Round& round) {
  for (auto& [id, instance] : round.world.instances) {
    if (instance.routed != Routed::draining) continue;
    // Its version is given by step_routes(), at the end of the round in which the drain begins.
    if (instance.routed_version == 0) continue;
    const Drain drain = drain_of(round, instance);
    const auto age = round.now - *instance.unwanted_at;
    const bool drained = drain.left_out && !drain.in_flight;
    // Requests that do not end are cut; a proxy that still sends new ones gets more time.
    const bool cut = drain.left_out && age > round.policy().drain_timeout;
    const bool hopeless = age > round.policy().drain_timeout + round.policy().switch_timeout;
    if (drained || cut || hopeless || instance.terminal()) give_up(round, instance);
  }
}

void step_forgotten(Round& round) {
  for (auto& [id, instance] : round.world.instances)
    if (!instance.wanted && !instance.ended_at &&
        host_silent(round.world, instance, round.policy().host_forgotten, round.now))
      instance.ended_at = round.now;
}

Instance* in_slot(Round& round, const Deployment& deployment, int number) {
  Instance* newest = nullptr;
  for (auto& [id, instance] : round.world.instances) {
    if (instance.deployment != deployment.uuid || !instance.runs() || instance.number != number ||
        !instance.alive() || instance.unwanted_at)
      continue;
    if (newest == nullptr || instance.created_at > newest->created_at) newest = &instance;
  }
  return newest;
}

}  // namespace karreg::scheduler
