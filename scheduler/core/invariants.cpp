// What every decision keeps, whatever the world does: asserted by each unit test and by each step
// of the simulation.
#include <fmt/format.h>

#include <set>

#include "scheduler/core/world.hpp"

namespace karreg::scheduler {

namespace {

/// Whether a healthy instance of @p app in service could get the requests.
bool has_healthy(const World& world, const std::string& app) {
  for (const auto& [id, instance] : world.instances)
    if (instance.app_id == app && instance.routed == Routed::yes && instance.healthy &&
        !instance.address.empty())
      return true;
  return false;
}

std::string name_of(const wire::Route& route) {
  return fmt::format("route {}{}", route.host, route.path);
}
std::string name_of(const wire::TcpRoute& route) {
  return fmt::format("TCP route {}", route.port);
}
/// Where @p route leads, of an instance at @p address.
std::string address_for(const wire::Route&, const std::string& address) {
  return address;
}
std::string address_for(const wire::TcpRoute&, const std::string& address) {
  return fmt::format("{}:{}", address.substr(0, address.rfind(':')), wire::tcp_service_port);
}

template <class Route>
std::string broken_route(const World& world, const Route& route) {
  for (const auto& backend : route.backends) {
    const auto name = fmt::format("{} leads to instance {}", name_of(route), backend.instance_id);
    const auto it = world.instances.find(backend.instance_id);
    if (it == world.instances.end()) return name + ", which is unknown";
    const Instance& instance = it->second;
    if (instance.app_id != route.app_id) return name + " of another app";
    if (!instance.runs()) return name + ", which is no instance of the app";
    if (instance.routed != Routed::yes) return name + ", which is not in service";
    if (!instance.alive()) return name + ", which is stopped";
    if (address_for(route, instance.address) != backend.address) return name + " at an old address";
    if (!instance.healthy && has_healthy(world, route.app_id))
      return name + ", which is unhealthy, though a healthy one is in service";
  }
  return {};
}

std::string broken_instance(const World& world, const Instance& instance) {
  const auto name = fmt::format("instance {}", instance.id);
  if (!instance.runs() && instance.routed != Routed::no)
    return name + " is no instance of an app and is routed";
  if (instance.routed != Routed::no && !instance.alive()) return name + " is stopped and routed";
  if (!instance.wanted && !instance.unwanted_at) return name + " is stopped without a time";
  if (instance.kind == InstanceKind::job) {
    const auto job = world.jobs.find(instance.job_id);
    const bool open = job != world.jobs.end() && job->second.open();
    return instance.alive() && !open ? name + " runs for no job" : std::string();
  }
  if (instance.routed != Routed::draining && instance.alive()) {
    const auto it = world.deployments.find(instance.deployment);
    if (it == world.deployments.end()) return name + " runs for no deployment";
    const auto state = it->second.state;
    if (state == DeploymentState::fail || state == DeploymentState::cancelled)
      return name + " runs for a deployment that did not succeed";
  }
  return {};
}

std::string broken_app(const World& world, const App& app) {
  if (!app.serving_deployment.empty()) {
    const auto it = world.deployments.find(app.serving_deployment);
    if (it == world.deployments.end()) return "app " + app.id + " is served by nothing known";
    if (it->second.state != DeploymentState::ok && it->second.phase < Phase::switching)
      return "app " + app.id + " is served by a version that was never healthy";
  }
  int active = 0;
  int building = 0;
  std::set<std::string> working;
  std::set<std::pair<std::string, int>> slots;
  for (const auto& [uuid, deployment] : world.deployments)
    if (deployment.app_id == app.id && deployment.state == DeploymentState::wip &&
        deployment.phase != Phase::queued)
      ++active;
  if (active > 1) return fmt::format("app {} has {} active deployments", app.id, active);
  for (const auto& [id, instance] : world.instances) {
    if (instance.app_id != app.id || !instance.alive()) continue;
    building += instance.builds();
    if (instance.kind == InstanceKind::job && !working.insert(instance.job_id).second)
      return fmt::format("job {} has two VMs", instance.job_id);
  }
  if (building > 1) return fmt::format("app {} has {} build VMs", app.id, building);
  for (const auto& [id, instance] : world.instances)
    if (instance.app_id == app.id && instance.runs() && instance.alive() && !instance.unwanted_at &&
        !slots.emplace(instance.deployment, instance.number).second)
      return fmt::format("app {} has two instances {}", app.id, instance.number);
  return {};
}

std::string broken_roll(const World& world, const Roll& roll) {
  const auto name = "roll " + roll.id;
  bool failed = false;
  bool goes_on = false;
  int open_wave = -1;  // the first of which something is open
  int last_begun = -1;
  for (const RollApp& app : roll.apps) {
    failed = failed || app.step == RollStep::failed;
    if (app.open() && open_wave < 0) open_wave = app.wave;
    if (app.step != RollStep::waiting && app.step != RollStep::untouched) last_begun = app.wave;
    goes_on = goes_on || app.open();
    if ((app.step == RollStep::deploying || app.step == RollStep::done) && app.deployment.empty())
      return fmt::format("{} has no deployment for {}", name, app.app_id);
    if (app.step != RollStep::deploying) continue;
    const auto deployment = world.deployments.find(app.deployment);
    if (deployment != world.deployments.end() && deployment->second.app_id != app.app_id)
      return fmt::format("{} deploys another app for {}", name, app.app_id);
  }
  if (open_wave >= 0 && last_begun > open_wave)
    return fmt::format("{} has begun wave {} before the end of wave {}", name, last_begun,
                       open_wave);
  if ((roll.state == RollState::running) != goes_on ||
      (roll.state == RollState::running) != !roll.ended_at)
    return name + " is neither under way nor over";
  if (roll.state == RollState::done && failed) return name + " is done though an app failed";
  if (roll.state == RollState::stopped && !failed) return name + " stopped though no app failed";
  return {};
}

}  // namespace

std::string broken_invariant(const World& world) {
  for (const auto& [key, route] : world.routes)
    if (auto why = broken_route(world, route); !why.empty()) return why;
  for (const auto& [port, route] : world.tcp_routes)
    if (auto why = broken_route(world, route); !why.empty()) return why;
  for (const auto& [id, instance] : world.instances)
    if (auto why = broken_instance(world, instance); !why.empty()) return why;
  for (const auto& [id, app] : world.apps)
    if (auto why = broken_app(world, app); !why.empty()) return why;
  for (const auto& [uuid, deployment] : world.deployments)
    if ((deployment.state == DeploymentState::wip) != !deployment.ended_at ||
        (deployment.state == DeploymentState::wip) != (deployment.phase != Phase::ended))
      return "deployment " + uuid + " is neither open nor ended";
  for (const auto& [id, roll] : world.rolls)
    if (auto why = broken_roll(world, roll); !why.empty()) return why;
  return {};
}

}  // namespace karreg::scheduler
