// How a deployment goes: queued -> building -> starting -> switching -> ended, and how it fails.
//
// One deployment of an app is active at a time, the lowest number first; among waiting ones only
// the newest counts. Until `switching` nothing of what serves is touched, so that a failure,
// whatever it is, leaves the old version serving. `switching` puts the new instances into the
// routes and the old ones out of them in one version; from then on the new version is what is
// healed, and the deployment is OK when the proxies have acknowledged.
#include <algorithm>

#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

void enter(Round& round, Deployment& deployment, Phase phase) {
  deployment.phase = phase;
  deployment.phase_since = round.now;
}

void end_deployment(Round& round, Deployment& deployment, DeploymentState state,
                    std::string message) {
  deployment.state = state;
  deployment.message = message;
  deployment.ended_at = round.now;
  enter(round, deployment, Phase::ended);
  const std::string took = seconds_between(deployment.requested_at, round.now);
  switch (state) {
    case DeploymentState::ok:
      round.note(deployment, "Successfully deployed in " + took);
      return;
    case DeploymentState::cancelled:
      round.note(deployment, "Deployment cancelled: " + message);
      break;
    default:
      round.note(deployment, "Deploy failed in " + took + ": " + message);
  }
  for (auto& [id, instance] : round.world.instances)
    if (instance.deployment == deployment.uuid && instance.alive()) give_up(round, instance);
  if (auto build = round.world.builds.find(deployment.build_id);
      build != round.world.builds.end()) {
    auto& row = build->second;
    if (row.state != BuildState::succeeded && row.state != BuildState::failed) {
      row.state = BuildState::failed;
      row.state_since = round.now;
      row.message = message;
    }
  }
}

namespace {

std::vector<Deployment*> open_deployments(Round& round, const App& app) {
  std::vector<Deployment*> open;
  for (auto& [uuid, deployment] : round.world.deployments)
    if (deployment.app_id == app.id && deployment.state == DeploymentState::wip)
      open.push_back(&deployment);
  std::ranges::sort(open, {}, &Deployment::number);
  return open;
}

/// Cancels what is asked to be, and waiting deployments that a newer one makes pointless. Returns
/// the active one, if any.
Deployment* choose_active(Round& round, const App& app) {
  auto open = open_deployments(round, app);
  if (app.deleted) {
    for (auto* deployment : open)
      end_deployment(round, *deployment, DeploymentState::cancelled, "the application was deleted");
    return nullptr;
  }
  for (auto* deployment : open)
    if (deployment->cancel_requested && deployment->phase < Phase::switching)
      end_deployment(round, *deployment, DeploymentState::cancelled, "cancelled on request");
  std::erase_if(open, [](const Deployment* d) { return d->state != DeploymentState::wip; });
  for (std::size_t i = 0; i + 1 < open.size(); ++i) {
    const std::string newer = std::to_string(open.back()->number);
    if (open[i]->phase == Phase::queued)
      end_deployment(round, *open[i], DeploymentState::cancelled,
                     "superseded by deployment " + newer);
    else if (app.cancel_on_push && open[i]->phase < Phase::switching)
      end_deployment(round, *open[i], DeploymentState::cancelled,
                     "deployment " + newer + " came, and this application cancels on push");
  }
  std::erase_if(open, [](const Deployment* d) { return d->state != DeploymentState::wip; });
  return open.empty() ? nullptr : open.front();
}

void start_deployment(Round& round, App& app, Deployment& deployment) {
  if (deployment.action == Action::undeploy) {
    app.state = "SHOULD_BE_DOWN";
    app.serving_deployment.clear();
    for (auto& [id, instance] : round.world.instances)
      if (instance.app_id == app.id && !instance.build && instance.alive())
        begin_drain(round, instance);
    enter(round, deployment, Phase::draining);
    return;
  }
  if (app.state == "SHOULD_BE_DOWN") app.state = "WANTS_TO_BE_UP";
  const auto serving = round.world.deployments.find(app.serving_deployment);
  const bool scales = deployment.action != Action::deploy;
  if (scales && serving != round.world.deployments.end()) {
    deployment.artifact_digest = serving->second.artifact_digest;
    enter(round, deployment, Phase::starting);
    return;
  }
  Build build;
  build.id = round.ids.build();
  build.app_id = app.id;
  build.deployment = deployment.uuid;
  build.commit = deployment.commit;
  build.use_cache = deployment.use_cache;
  build.state_since = round.now;
  deployment.build_id = build.id;
  round.world.builds[build.id] = build;
  enter(round, deployment, Phase::building);
}

/// Why a new instance did not come up, for its owner.
std::string start_failure(const Instance& instance) {
  std::string why =
      "instance " + std::to_string(instance.number) + " did not start: " + instance.detail;
  if (!instance.last_lines.empty()) why += "\nThe end of its output:\n" + instance.last_lines;
  return why;
}

void switch_over(Round& round, App& app, Deployment& deployment) {
  for (auto& [id, instance] : round.world.instances) {
    if (instance.app_id != app.id || instance.build || !instance.alive()) continue;
    if (instance.deployment == deployment.uuid)
      instance.routed = Routed::yes;
    else
      begin_drain(round, instance);
  }
  app.serving_deployment = deployment.uuid;
  app.commit = deployment.commit;
  app.state = "SHOULD_BE_UP";
  enter(round, deployment, Phase::switching);
  round.note(deployment, "New version is healthy, moving traffic to it");
}

void step_starting(Round& round, App& app, Deployment& deployment) {
  bool all_healthy = true;
  for (int number = 0; number < deployment.instances; ++number) {
    int tries = 0;
    Instance* present = nullptr;
    for (auto& [id, instance] : round.world.instances) {
      if (instance.deployment != deployment.uuid || instance.build || instance.number != number)
        continue;
      ++tries;
      if (instance.alive()) present = &instance;
    }
    if (present != nullptr && present->terminal()) {
      // A VM whose guest never spoke is the platform's failure, not the app's: one more try.
      if (present->phase == "failed" && !present->reached_guest && tries < 2) {
        round.note(deployment, "A VM did not start (" + present->detail + "), trying another");
        give_up(round, *present);
        present = nullptr;
      } else {
        const std::string why = start_failure(*present);
        end_deployment(round, deployment, DeploymentState::fail, why);
        if (app.serving_deployment.empty()) app.state = "SHOULD_BE_DOWN";
        return;
      }
    }
    if (present == nullptr) {
      if (const std::string why = no_room(round.world, deployment.flavor, round.now);
          !why.empty()) {
        deployment.message = "waiting for room: " + why;
        all_healthy = false;
        if (round.now - deployment.phase_since > round.policy().capacity_timeout) {
          end_deployment(round, deployment, DeploymentState::fail,
                         "no room for a new instance: " + why);
          return;
        }
        continue;
      }
      present = &create_instance(round, deployment, number);
    }
    all_healthy = all_healthy && present->healthy;
  }
  if (all_healthy) switch_over(round, app, deployment);
}

void step_switching(Round& round, Deployment& deployment) {
  // step_routes() of the round that began the switch has given the version.
  if (!deployment.switch_version) return;
  int live = 0;
  int acknowledged = 0;
  for (const auto& [id, proxy] : round.world.proxies) {
    if (!is_live(proxy, round.policy(), round.now)) continue;
    ++live;
    if (proxy.version >= *deployment.switch_version) ++acknowledged;
  }
  const bool late = round.now - deployment.phase_since > round.policy().switch_timeout;
  if (live == 0) {
    deployment.message = "no reverse proxy is up; the new version serves as soon as one is";
    return;
  }
  if (acknowledged == live || (late && acknowledged > 0))
    end_deployment(round, deployment, DeploymentState::ok, "");
}

void step_undeploy(Round& round, const App& app, Deployment& deployment) {
  for (const auto& [id, instance] : round.world.instances)
    if (instance.app_id == app.id && !instance.build && instance.alive()) return;
  end_deployment(round, deployment, DeploymentState::ok, "");
}

}  // namespace

void step_deployments(Round& round, App& app) {
  // One pass may end a deployment and begin the next; each phase is entered at most once a pass.
  for (int guard = 0; guard < 8; ++guard) {
    Deployment* active = choose_active(round, app);
    if (active == nullptr) return;
    const Phase before = active->phase;
    switch (active->phase) {
      case Phase::queued:
        start_deployment(round, app, *active);
        break;
      case Phase::building:
        step_build(round, app, *active);
        break;
      case Phase::starting:
        step_starting(round, app, *active);
        break;
      case Phase::switching:
        step_switching(round, *active);
        break;
      case Phase::draining:
        step_undeploy(round, app, *active);
        break;
      case Phase::ended:
        return;
    }
    if (active->state == DeploymentState::fail && app.serving_deployment.empty() &&
        before < Phase::switching)
      app.state = "SHOULD_BE_DOWN";
    if (active->phase == before && active->state == DeploymentState::wip) return;
  }
}

}  // namespace karreg::scheduler
