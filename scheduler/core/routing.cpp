// Routes follow instances: each host name of an app leads to its instances in service, and so does
// each of its ports of TCP services, to the port where instances listen for those. An app that
// is stopped or not yet up keeps its routes, empty, so that visitors are told so;
// those of one that sleeps say that, so that visitors wait.
#include <fmt/format.h>

#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

namespace {

/// Instances of @p app that get requests: of those in service the healthy ones, without those on
/// hosts that fell silent while others surely live; if none is healthy, all: a doubtful answer
/// beats none.
std::vector<wire::Backend> backends_of(const Round& round, const std::string& app) {
  std::vector<wire::Backend> heard;
  std::vector<wire::Backend> healthy;
  std::vector<wire::Backend> all;
  bool sure = false;
  for (const auto& [id, instance] : round.world.instances) {
    if (instance.app_id != app || instance.routed != Routed::yes || instance.address.empty())
      continue;
    const wire::Backend backend{id, instance.address};
    all.push_back(backend);
    if (!instance.healthy) continue;
    healthy.push_back(backend);
    const auto silent = [&](milliseconds limit) {
      return host_silent(round.world, instance, limit, round.now);
    };
    if (!silent(round.policy().host_fresh)) heard.push_back(backend);
    sure = sure || !silent(round.policy().host_sure);
  }
  return sure ? heard : !healthy.empty() ? healthy : all;
}

/// The same instances where they listen for connections of TCP services.
std::vector<wire::Backend> for_tcp(std::vector<wire::Backend> backends) {
  for (auto& backend : backends)
    backend.address = fmt::format("{}:{}", backend.address.substr(0, backend.address.rfind(':')),
                                  wire::tcp_service_port);
  return backends;
}

}  // namespace

void step_routes(Round& round) {
  std::map<wire::RouteKey, wire::Route> wanted;
  std::map<std::uint16_t, wire::TcpRoute> wanted_tcp;
  for (const auto& [id, app] : round.world.apps) {
    if (app.deleted) continue;
    const auto backends = backends_of(round, id);
    const bool asleep = app.sleep != Sleep::awake && backends.empty();
    for (const auto& vhost : app.vhosts)
      wanted[{vhost.host, vhost.path}] = {vhost.host,          vhost.path,      id,
                                          app.sticky_sessions, app.force_https, backends,
                                          app.rules,           asleep};
    for (const auto port : app.tcp_ports) wanted_tcp[port] = {port, id, for_tcp(backends)};
  }
  if (wanted != round.world.routes || wanted_tcp != round.world.tcp_routes) {
    round.world.routes = std::move(wanted);
    round.world.tcp_routes = std::move(wanted_tcp);
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
