// How a deployment goes: queued -> building -> (releasing) -> starting -> switching -> ended, and
// how it fails. One that a roll has made of an artifact is not built.
//
// One deployment of an app is active at a time, the lowest number first; among waiting ones only
// the newest counts. Until `switching` nothing of what serves is touched, so that a failure,
// whatever it is, leaves the old version serving. `switching` puts the new instances into the
// routes and the old ones out of them in one version; from then on the new version is what is
// healed, and the deployment is OK when the proxies have acknowledged.
#include <algorithm>
#include <span>

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
      round.note(deployment, deployment.action == Action::undeploy
                                 ? "Application stopped in " + took
                                 : "Successfully deployed in " + took);
      return;
    case DeploymentState::cancelled:
      round.note(deployment, "Deployment cancelled: " + message);
      break;
    default:
      round.note(deployment, "Deploy failed in " + took + ": " + message);
  }
  for (auto& [id, job] : round.world.jobs)
    if (job.deployment == deployment.uuid && job.kind == JobKind::release && job.open())
      end_job(round, job, JobState::cancelled, message);
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

const Deployment* open_deployment(const Round& round, const App& app) {
  for (const auto& [uuid, deployment] : round.world.deployments)
    if (deployment.app_id == app.id && deployment.state == DeploymentState::wip) return &deployment;
  return nullptr;
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

/// Whether @p newer makes @p waiting pointless: a newer version or a stop does, a scaling only
/// makes an older scaling so.
bool supersedes(const Deployment& newer, const Deployment& waiting) {
  const auto scales = [](const Deployment& d) {
    return d.action == Action::upscale || d.action == Action::downscale;
  };
  return !scales(newer) || scales(waiting);
}

/// Why @p deployment is not to go on, as @p newer ones wait behind it; empty when it is.
std::string reason_to_cancel(const App& app, const Deployment& deployment,
                             std::span<Deployment* const> newer) {
  if (deployment.phase >= Phase::switching) return {};
  if (deployment.cancel_requested) return "cancelled on request";
  // The newest of those that make it pointless is the one its owner will see run.
  for (auto it = newer.rbegin(); it != newer.rend(); ++it) {
    if (!supersedes(**it, deployment)) continue;
    const std::string number = std::to_string((*it)->number);
    if (deployment.phase == Phase::queued) return "superseded by deployment " + number;
    if ((*it)->action == Action::undeploy) return "deployment " + number + " stops the application";
    if ((*it)->action == Action::deploy && app.cancel_on_push)
      return "deployment " + number + " came, and this application cancels on push";
  }
  return {};
}

/// Cancels what is asked to be, and what newer deployments make pointless. Returns the active one,
/// if any.
Deployment* choose_active(Round& round, const App& app) {
  auto open = open_deployments(round, app);
  if (app.deleted) {
    for (auto* deployment : open)
      end_deployment(round, *deployment, DeploymentState::cancelled, "the application was deleted");
    return nullptr;
  }
  // From the newest on, so that one that is cancelled itself cancels no other.
  for (std::size_t i = open.size(); i-- > 0;) {
    const std::string why = reason_to_cancel(app, *open[i], std::span(open).subspan(i + 1));
    if (why.empty()) continue;
    end_deployment(round, *open[i], DeploymentState::cancelled, why);
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return open.empty() ? nullptr : open.front();
}

std::string instances_of(const Deployment& deployment) {
  return std::to_string(deployment.instances) +
         (deployment.instances == 1 ? " instance" : " instances");
}

void start_deployment(Round& round, App& app, Deployment& deployment) {
  if (deployment.action == Action::undeploy) {
    app.state = "SHOULD_BE_DOWN";
    app.serving_deployment.clear();
    for (auto& [id, instance] : round.world.instances)
      if (instance.app_id == app.id && instance.runs() && instance.alive())
        begin_drain(round, instance);
    for (auto& [id, job] : round.world.jobs)
      if (job.app_id == app.id && job.open())
        end_job(round, job, JobState::cancelled,
                "deployment " + std::to_string(deployment.number) + " stops the application");
    round.note(deployment, "Stopping the application");
    enter(round, deployment, Phase::draining);
    return;
  }
  const auto serving = round.world.deployments.find(app.serving_deployment);
  const bool scales = deployment.action != Action::deploy;
  if (scales && serving == round.world.deployments.end()) {
    // A stop, or a first deployment that was cancelled or failed, is not undone by a new size.
    end_deployment(round, deployment, DeploymentState::cancelled,
                   "no version is in service that could be scaled; the next deployment has the new "
                   "size");
    return;
  }
  if (app.state == "SHOULD_BE_DOWN") app.state = "WANTS_TO_BE_UP";
  if (scales) {
    deployment.artifact_digest = serving->second.artifact_digest;
    deployment.build_id = serving->second.build_id;
    deployment.runtime = serving->second.runtime;
    deployment.image = serving->second.image;
    deployment.commit = serving->second.commit;
    round.note(deployment, "Deployment " + std::to_string(deployment.number) + " starts " +
                               instances_of(deployment) + " of the version in service");
    enter(round, deployment, Phase::starting);
    return;
  }
  const std::string begins = "Deployment " + std::to_string(deployment.number) + " begins" +
                             (deployment.cause.empty() ? "" : " (" + deployment.cause + ")") +
                             ": commit " + deployment.commit.substr(0, 12);
  if (!deployment.artifact_digest.empty()) {
    round.note(deployment, begins + ", as it is built, on image " + deployment.image.substr(0, 12));
    const auto build = round.world.builds.find(deployment.build_id);
    if (build == round.world.builds.end() || build->second.release.empty())
      enter(round, deployment, Phase::starting);
    else
      begin_release(round, deployment, build->second.release);
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
  round.note(deployment, begins);
  enter(round, deployment, Phase::building);
}

void step_switching(Round& round, Deployment& deployment) {
  // step_routes() of the round that began the switch has given the version.
  if (!deployment.switch_version) return;
  int live = 0;
  int acknowledged = 0;
  std::string late_one;
  for (const auto& [id, proxy] : round.world.proxies) {
    if (!is_live(round.world, proxy, round.now)) continue;
    ++live;
    if (proxy.version >= *deployment.switch_version)
      ++acknowledged;
    else
      late_one = id;
  }
  const bool late = round.now - deployment.phase_since > round.policy().switch_timeout;
  if (live > 0 && (acknowledged == live || (late && acknowledged > 0)))
    end_deployment(round, deployment, DeploymentState::ok, "");
  else if (live == 0)
    deployment.message = "no reverse proxy is up; the new version serves as soon as one is";
  else if (late)
    deployment.message = "waiting for reverse proxy " + late_one + " to take the new routes";
}

void step_undeploy(Round& round, const App& app, Deployment& deployment) {
  for (const auto& [id, instance] : round.world.instances)
    if (instance.app_id == app.id && instance.runs() && instance.alive()) return;
  end_deployment(round, deployment, DeploymentState::ok, "");
}

void step_active(Round& round, App& app) {
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
      case Phase::releasing:
        step_release(round, *active);
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
    if (active->phase == before && active->state == DeploymentState::wip) return;
  }
}

}  // namespace

void step_deployments(Round& round, App& app) {
  step_active(round, app);
  // What wanted to be up and ended otherwise is as down as before.
  if (app.state == "WANTS_TO_BE_UP" && open_deployments(round, app).empty())
    app.state = "SHOULD_BE_DOWN";
}

}  // namespace karreg::scheduler
