// What must hold at every step, seen from where requests are: the tables that proxies really have,
// and the VMs that really run.
#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "city.hpp"
#include "common/flavors.hpp"

namespace karreg::simulation {

using scheduler::App;

const Vm* City::find_vm(const std::string& id) const {
  for (const auto& machine : machines_)
    if (auto it = machine->vms().find(id); it != machine->vms().end()) return &it->second;
  return nullptr;
}

/// A proxy that the scheduler rightly takes for gone, or waits for no longer, may have an old
/// table.
bool City::excused(const Front& front) const {
  const auto row = base_.world.proxies.find(front.id());
  if (row == base_.world.proxies.end()) return true;
  const auto& policy = base_.world.policy;
  return now_ - row->second.last_seen > policy.proxy_live - 500ms ||
         now_ - front.in_time > policy.drain_timeout + policy.switch_timeout - 5s;
}

std::int64_t City::room_on(const std::string& host) const {
  auto room = base_.world.hosts.at(host).memory_mb;
  for (const auto& [id, i] : base_.world.instances)
    if (i.host_id == host && !i.ended_at) room -= find_flavor(i.flavor)->memory_mb;
  return room;
}

void City::check() {
  for (const auto& front : fronts_) {
    const bool current = front->table().version() == base_.world.route_version;
    if (current) front->in_time = now_;
    const auto row = base_.world.proxies.find(front->id());
    const bool known =
        row != base_.world.proxies.end() && row->second.version == base_.world.route_version;
    if (excused(*front))
      front->excused = true;
    else if (current && known)
      front->excused = false;
  }
  for (const auto& [id, host] : base_.world.hosts)
    if (now_ - host.last_seen > 5s) unheard_[id] = now_;
  for (const auto& [id, i] : base_.world.instances) {
    if (i.healthy)
      healthy_since_.emplace(id, now_);
    else
      healthy_since_.erase(id);
  }
  check_proxies();
  check_jobs();
  for (const auto& machine : machines_)
    for (const auto& [id, vm] : machine->vms())
      if (vm.spec.kind == "build" && !machine->builds())
        broken(id + " builds on " + machine->id() + ", which has no disks of builds");
  for (const auto& [id, host] : base_.world.hosts)
    if (room_on(id) < 0) broken(id + " is given more memory than it has");
  for (const auto& [id, app] : base_.world.apps) {
    auto& before = served_[id];
    if (before == app.serving_deployment) continue;
    if (!app.serving_deployment.empty()) {
      const auto& d = base_.world.deployments.at(app.serving_deployment);
      if (d.commit.starts_with("exits") || d.commit.starts_with("never") ||
          d.commit.starts_with("nobuild") || d.commit.starts_with("refused"))
        broken(d.uuid + " is in service though its version " + d.commit + " does not work");
      if (d.image.starts_with("bad"))
        broken(d.uuid + " is in service though its image " + d.image + " does not work");
    }
    before = app.serving_deployment;
  }
}

/// No command begins twice, whatever breaks.
void City::check_jobs() const {
  std::map<std::string, int> begun;
  for (const auto& machine : machines_)
    for (const auto& [job, times] : machine->begun())
      if ((begun[job] += times) > 1) broken("the command of " + job + " began twice");
}

/// Waves follow one another, and whoever failed is not left on what failed.
void City::check_roll(const scheduler::Roll& roll) const {
  using scheduler::RollStep;
  const auto made_for = [&](const scheduler::RollApp& app) -> const scheduler::Deployment* {
    if (const auto it = base_.world.deployments.find(app.deployment);
        it != base_.world.deployments.end())
      return &it->second;
    const auto it = base_.past.find(app.deployment);
    return it == base_.past.end() ? nullptr : &it->second;
  };
  for (const auto& app : roll.apps) {
    const auto* made = made_for(app);
    if (made == nullptr) continue;
    const auto row = base_.world.apps.find(app.app_id);
    if (app.step == RollStep::failed && row != base_.world.apps.end() &&
        row->second.serving_deployment == app.deployment)
      broken(fmt::format("{} failed for {} and is in service", app.deployment, app.app_id));
    for (const auto& later : roll.apps) {
      const auto* next = made_for(later);
      if (later.wave <= app.wave || next == nullptr) continue;
      if (!made->ended_at || *made->ended_at > next->requested_at)
        broken(fmt::format("{} was begun before {} of an earlier wave had ended", next->uuid,
                           made->uuid));
      if (app.step == RollStep::failed)
        broken(fmt::format("{} was begun though {} had failed", next->uuid, made->uuid));
    }
  }
}

/// Whoever reports all the time is not taken for silent, whatever kept the scheduler from hearing.
void City::check_hearing(const World& world) {
  for (const auto& machine : machines_) {
    const auto host = world.hosts.find(machine->id());
    if (!machine->agent_up() || host == world.hosts.end()) continue;
    if (now_ - agent_up_since_[machine->id()] < 40s) continue;
    if (scheduler::silence(world, host->second.last_seen, now_) > world.policy.host_lost_after)
      broken(machine->id() + " is taken for silent though its agent reports all the time");
  }
}

/// Whether the scheduler has known @p instance to be well for long enough that proxies know it,
/// too, without a gap: it may have been ill since it was healthy first.
bool City::long_healthy(const scheduler::Instance& instance) const {
  const auto since = healthy_since_.find(instance.id);
  return instance.healthy && since != healthy_since_.end() && now_ - since->second >= 20s;
}

/// Whether the scheduler knows of an instance on @p route that answers, on a host that it has heard
/// without a gap, so that requests need not go to @p broken_one.
bool City::better_known(const wire::Route& route, const std::string& broken_one) const {
  for (const auto& [id, i] : base_.world.instances) {
    const Vm* vm = find_vm(id);
    if (id == broken_one || i.app_id != route.app_id || i.routed != scheduler::Routed::yes ||
        !long_healthy(i) || vm == nullptr || !vm->ready)
      continue;
    // It may be well for long, and in service since a moment ago.
    const auto deployment = base_.world.deployments.find(i.deployment);
    if (deployment == base_.world.deployments.end() || now_ - deployment->second.phase_since < 20s)
      continue;
    const auto unheard = unheard_.find(i.host_id);
    if (unheard == unheard_.end() || now_ - unheard->second > 20s) return true;
  }
  return false;
}

void City::check_proxies() {
  for (const auto& machine : machines_)
    for (const auto& [id, vm] : machine->vms())
      if (vm.broken) broke_.emplace(id, now_);
  for (const auto& front : fronts_) {
    if (!front->up() || front->excused) continue;
    for (const auto& route : front->table().routes())
      for (const auto& backend : route->backends) {
        const Vm* vm = find_vm(backend.instance_id);
        if (const auto broke = broke_.find(backend.instance_id); broke != broke_.end()) {
          if (now_ - broke->second > base_.world.policy.host_fresh + 10s &&
              now_ > trouble_until_ + 20s && now_ - front->in_time < 5s &&
              better_known(*route, backend.instance_id))
            broken(fmt::format(
                "{} sends requests to {}, which broke {} s ago, though another "
                "instance answers",
                front->id(), backend.instance_id,
                std::chrono::duration_cast<std::chrono::seconds>(now_ - broke->second).count()));
          continue;
        }
        if (vm == nullptr || vm->life == agent::Life::stopping)
          broken(fmt::format("{} (table {}) sends requests to {}, which was stopped on purpose",
                             front->id(), front->table().version(), backend.instance_id));
        if (!vm->ready)
          broken(fmt::format("{} (table {}) sends requests to {}, which was never ready",
                             front->id(), front->table().version(), backend.instance_id));
      }
    check_served(*front);
    check_sleep(*front);
  }
}

/// Whoever is asked for is woken.
void City::check_sleep(const Front& front) const {
  if (now_ < trouble_until_ + 20s) return;
  for (const auto& [id, since] : front.held()) {
    const auto app = base_.world.apps.find(id);
    if (app != base_.world.apps.end() && app->second.sleep == scheduler::Sleep::asleep &&
        now_ - since > 15s)
      broken(fmt::format("{} holds requests for {}, which is left asleep", front.id(), id));
  }
}

/// An app with a healthy instance that the scheduler has known for a while answers.
void City::check_served(const Front& front) {
  if (now_ < trouble_until_ + 20s || now_ - front.in_time > 20s) return;
  for (const auto& [id, i] : base_.world.instances) {
    const auto app = base_.world.apps.find(i.app_id);
    if (app == base_.world.apps.end() || app->second.deleted ||
        app->second.serving_deployment != i.deployment || i.builds() || !i.alive() ||
        !long_healthy(i))
      continue;
    // The routes of one that has just been woken are on their way.
    if (app->second.sleep_since && now_ - *app->second.sleep_since < 20s) continue;
    const auto since = base_.world.deployments.at(i.deployment).phase_since;
    const Vm* vm = find_vm(id);
    if (vm == nullptr || !vm->ready || now_ - since < 20s ||
        i.routed == scheduler::Routed::draining)
      continue;
    const auto* route = front.table().find(i.app_id + ".localhost", "/");
    bool answers = false;
    if (route != nullptr)
      for (const auto& backend : route->backends) {
        const Vm* behind = find_vm(backend.instance_id);
        const auto broke = broke_.find(backend.instance_id);
        // One that broke a moment ago could not be known to.
        answers = answers || (behind != nullptr && behind->ready) ||
                  (broke != broke_.end() && now_ - broke->second < 20s);
      }
    if (!answers)
      broken(fmt::format("{} has nothing that answers for {}, though {} is well", front.id(),
                         i.app_id, id));
  }
}

/// No request is cut by a stop before the drain's deadline.
void City::check_stops(const Machine& machine, const std::map<std::string, Vm>& before) {
  for (const auto& [id, vm] : machine.vms()) {
    const auto old = before.find(id);
    if (vm.life != agent::Life::stopping || old == before.end() ||
        old->second.life == agent::Life::stopping)
      continue;
    happened("stop " + id);
    const auto row = base_.world.instances.find(id);
    if (row == base_.world.instances.end() || !row->second.unwanted_at) continue;
    // To sleep is no reason to cut a request, however long it takes.
    const bool slept = row->second.slept;
    if (!slept && now_ - *row->second.unwanted_at >= base_.world.policy.drain_timeout) continue;
    for (const auto& front : fronts_) {
      if (!front->up() || (front->excused && !slept)) continue;
      const auto flight = front->flights().find(id);
      if (flight != front->flights().end() && now_ < flight->second &&
          row->second.routed_version != 0 && !broke_.contains(id))
        broken(fmt::format("{} is stopped while {} has requests in flight to it", id, front->id()));
    }
  }
}

std::string City::unrest_of(const App& app) const {
  if (app.deleted) return app.id + " is not torn down";
  if (app.state == "WANTS_TO_BE_UP") return app.id + " wants to be up";
  if (app.serving_deployment.empty()) return {};
  const auto& serving = base_.world.deployments.at(app.serving_deployment);
  int well = 0;
  for (const auto& front : fronts_)
    if (front->held().contains(app.id)) return app.id + " is waited for";
  if (app.sleep == scheduler::Sleep::waking) return app.id + " wakes";
  for (const auto& [id, j] : base_.world.jobs)
    if (j.app_id == app.id && j.open()) return id + " goes on";
  for (const auto& [id, i] : base_.world.instances) {
    if (i.app_id != app.id || !i.alive() || i.kind == scheduler::InstanceKind::job) continue;
    if (app.sleep == scheduler::Sleep::asleep) return id + " runs though its application sleeps";
    const Vm* vm = find_vm(id);
    if (i.deployment != serving.uuid || i.builds()) return id + " still runs";
    if (!i.healthy || i.routed != scheduler::Routed::yes || vm == nullptr || !vm->ready)
      return id + " is not well in service";
    ++well;
  }
  if (app.sleep == scheduler::Sleep::asleep) return {};
  if (app.sleep_after > 0s && app.tcp_ports.empty() && well == serving.instances)
    return app.id + " is awake though nobody asks for it";
  bool full = true;
  for (const auto& [id, host] : base_.world.hosts)
    full = full && room_on(id) < find_flavor(serving.flavor)->memory_mb;
  if (well != serving.instances && !full)
    return fmt::format("{} has {} instances instead of {}", app.id, well, serving.instances);
  return {};
}

std::string City::unrest() const {
  for (const auto& [id, roll] : base_.world.rolls) return id + " goes on";
  for (const auto& [uuid, d] : base_.world.deployments)
    if (d.state == scheduler::DeploymentState::wip)
      return fmt::format("{} is in phase {} ({})", uuid, static_cast<int>(d.phase), d.message);
  for (const auto& [id, app] : base_.world.apps)
    if (auto why = unrest_of(app); !why.empty()) return why;
  for (const auto& machine : machines_) {
    std::set<std::string> has;
    for (const auto& [id, vm] : machine->vms()) has.insert(id);
    if (has != base_.wanted_on(machine->id()))
      return machine->id() + " has other VMs than it should";
  }
  const auto wanted = std::views::values(base_.world.routes);
  for (const auto& front : fronts_)
    if (!std::ranges::equal(front->table().snapshot().routes, wanted) ||
        front->table().tcp_routes() != base_.world.tcp_routes ||
        front->table().version() != base_.world.route_version)
      return front->id() + " has another table";
  return {};
}

}  // namespace karreg::simulation
