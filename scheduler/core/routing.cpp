// Routes follow instances: each host name of an app leads to its instances in service. An app that
// is stopped or not yet up keeps its routes, empty, so that visitors are told so.
#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

void step_routes(Round& round) {
  std::map<wire::RouteKey, wire::Route> wanted;
  for (const auto& [id, app] : round.world.apps) {
    if (app.deleted) continue;
    std::vector<wire::Backend> backends;
    for (const auto& [instance_id, instance] : round.world.instances)
      if (instance.app_id == id && instance.routed == Routed::yes && !instance.address.empty())
        backends.push_back({instance_id, instance.address});
    for (const auto& vhost : app.vhosts)
      wanted[{vhost.host, vhost.path}] = {vhost.host,          vhost.path,      id,
                                          app.sticky_sessions, app.force_https, backends};
  }
  if (wanted != round.world.routes) {
    round.world.routes = std::move(wanted);
    ++round.world.route_version;
  }
  // Whatever waits for its version gets the present one: the table of this version has it.
  for (auto& [id, instance] : round.world.instances)
    if (instance.routed == Routed::draining && instance.routed_version == 0)
      instance.routed_version = round.world.route_version;
  for (auto& [uuid, deployment] : round.world.deployments)
    if (deployment.phase == Phase::switching && !deployment.switch_version)
      deployment.switch_version = round.world.route_version;
}

}  // namespace karreg::scheduler
