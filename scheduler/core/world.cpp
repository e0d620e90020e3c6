#include "scheduler/core/world.hpp"

#include <fmt/format.h>

#include <set>

namespace karreg::scheduler {

bool Instance::operator==(const Instance& other) const {
  const auto tied = [](const Instance& i) {
    return std::tie(i.id, i.app_id, i.deployment, i.build_id, i.build, i.number, i.host_id,
                    i.flavor, i.wanted, i.phase, i.healthy, i.address, i.detail, i.last_lines,
                    i.routed, i.routed_version, i.unwanted_at, i.healthy_at, i.ended_at);
  };
  return tied(*this) == tied(other);
}

bool is_live(const Proxy& proxy, const Policy& policy, Time now) {
  return now - proxy.last_seen <= policy.proxy_live;
}

std::string seconds_between(Time from, Time to) {
  return fmt::format("{:.1f} s", static_cast<double>((to - from).count()) / 1000.0);
}

std::string broken_invariant(const World& world) {
  std::set<std::string> routed;
  for (const auto& [key, route] : world.routes) {
    for (const auto& backend : route.backends) {
      const auto it = world.instances.find(backend.instance_id);
      if (it == world.instances.end())
        return "route " + key.host + " leads to unknown instance " + backend.instance_id;
      if (it->second.app_id != route.app_id)
        return "route " + key.host + " leads to another app's instance " + backend.instance_id;
      if (it->second.routed != Routed::yes)
        return "route " + key.host + " leads to instance " + backend.instance_id +
               " that is not in service";
      if (!it->second.wanted)
        return "route " + key.host + " leads to instance " + backend.instance_id +
               " that is stopped";
    }
  }
  std::map<std::string, int> active;
  for (const auto& [uuid, deployment] : world.deployments) {
    if (deployment.state == DeploymentState::wip && deployment.phase != Phase::queued)
      ++active[deployment.app_id];
    if (deployment.state != DeploymentState::wip && !deployment.ended_at)
      return "deployment " + uuid + " ended without a time";
  }
  for (const auto& [app, count] : active)
    if (count > 1) return "app " + app + " has " + std::to_string(count) + " active deployments";
  for (const auto& [id, instance] : world.instances)
    if (instance.build && instance.routed != Routed::no)
      return "build instance " + id + " is routed";
  return {};
}

}  // namespace karreg::scheduler
