// A roll: apps of one owner are brought onto the present images of their runtimes, a wave at a
// time. All apps of a wave are deployed at once, each as it is in service; the next wave begins
// when each of them is in service on the present image, or there was nothing to do for it. One that
// fails, or is cancelled, ends the roll: what is being deployed goes on to its end, nothing else is
// begun, and whoever failed stays on what it had, as with any deployment.
//
// What is already on the present image when its wave comes (it was pushed meanwhile), is stopped or
// is deleted, is skipped; so is one whose deployment another one supersedes, which is on the
// present image by itself or fails for its own pusher to see.
#include <algorithm>

#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

namespace {

void end_step(RollApp& app, RollStep step, std::string message) {
  app.step = step;
  app.message = std::move(message);
}

/// The first line of why a deployment ended.
std::string reason_of(const Deployment& deployment) {
  return deployment.message.substr(0, deployment.message.find('\n'));
}

void watch(const Round& round, RollApp& app) {
  const auto found = round.world.deployments.find(app.deployment);
  if (found == round.world.deployments.end()) {
    end_step(app, RollStep::skipped, "the application was deleted");
    return;
  }
  const Deployment& deployment = found->second;
  switch (deployment.state) {
    case DeploymentState::wip:
      app.message = deployment.message;
      return;
    case DeploymentState::ok:
      end_step(app, RollStep::done, "");
      return;
    case DeploymentState::fail:
      end_step(app, RollStep::failed, reason_of(deployment));
      return;
    case DeploymentState::cancelled:
      end_step(app, deployment.cancel_requested ? RollStep::failed : RollStep::skipped,
               reason_of(deployment));
  }
}

/// Makes the deployment that brings @p app, served by @p serving, onto the image @p present.
const Deployment& deploy_onto(Round& round, const Roll& roll, App& app, const Deployment& serving,
                              const std::pair<const ImageKey, Image>& present) {
  Deployment deployment;
  deployment.uuid = round.ids.deployment();
  deployment.app_id = app.id;
  deployment.number = app.next_deployment++;
  deployment.cause = "New image";
  deployment.author = roll.author;
  deployment.commit = serving.commit;
  deployment.instances = serving.instances;
  deployment.flavor = serving.flavor;
  deployment.requested_at = round.now;
  deployment.phase_since = round.now;
  const auto old = round.world.images.find({serving.runtime, serving.image});
  const ImageFacts known = old == round.world.images.end() ? ImageFacts{} : old->second.facts;
  std::string why = reason_to_rebuild(known, present.second.facts);
  if (why.empty() && serving.artifact_digest.empty()) why = "what was built is not kept any more";
  if (why.empty()) {
    deployment.build_id = serving.build_id;
    deployment.artifact_digest = serving.artifact_digest;
    deployment.runtime = serving.runtime;
    deployment.image = present.first.digest;
  } else {
    round.note(deployment, "The application is built again for its new image: " + why);
  }
  return round.world.deployments[deployment.uuid] = deployment;
}

void begin(Round& round, const Roll& roll, RollApp& each) {
  const auto app = round.world.apps.find(each.app_id);
  if (app == round.world.apps.end() || app->second.deleted) {
    end_step(each, RollStep::skipped, "the application was deleted");
    return;
  }
  if (const Deployment* other = open_deployment(round, app->second)) {
    each.message = "waits for the end of deployment " + std::to_string(other->number);
    return;
  }
  const auto serving = round.world.deployments.find(app->second.serving_deployment);
  if (serving == round.world.deployments.end()) {
    end_step(each, RollStep::skipped, "nothing of it is in service");
    return;
  }
  const Deployment& version = serving->second;
  const auto* present = current_image(round.world, version.runtime);
  if (version.image.empty()) {
    end_step(each, RollStep::skipped,
             "the image that it runs on is not known: its next deployment is on the present one");
  } else if (present == nullptr) {
    end_step(each, RollStep::skipped,
             "the image catalogue has no runtime \"" + version.runtime +
                 "\" any more; images/build makes it");
  } else if (present->first.digest == version.image) {
    end_step(each, RollStep::skipped, "it runs on the present image already");
  } else {
    each.deployment = deploy_onto(round, roll, app->second, version, *present).uuid;
    end_step(each, RollStep::deploying, "");
  }
}

/// Begins nothing more; ends the roll when nothing of it goes on.
void wind_up(const Round& round, Roll& roll) {
  bool goes_on = false;
  std::string failed;
  for (RollApp& app : roll.apps) {
    if (app.step == RollStep::waiting) end_step(app, RollStep::untouched, "");
    goes_on = goes_on || app.open();
    if (app.step == RollStep::failed && failed.empty()) failed = app.message;
  }
  if (goes_on) return;
  roll.ended_at = round.now;
  roll.state = failed.empty() ? RollState::cancelled : RollState::stopped;
  roll.message = failed.empty() ? "cancelled on request" : failed;
}

void step_roll(Round& round, Roll& roll) {
  for (RollApp& app : roll.apps)
    if (app.step == RollStep::deploying) watch(round, app);
  const auto is_open = [](const RollApp& app) { return app.open(); };
  const auto has = [&](RollStep step) {
    return std::ranges::any_of(roll.apps, [&](const RollApp& app) { return app.step == step; });
  };
  // Of one that is cancelled when all is done already, nothing is left to cancel.
  if (has(RollStep::failed) ||
      (roll.cancel_requested && (has(RollStep::waiting) || has(RollStep::untouched)))) {
    wind_up(round, roll);
    return;
  }
  // A wave of which there is nothing to do is over at once.
  for (;;) {
    const auto first = std::ranges::find_if(roll.apps, is_open);
    if (first == roll.apps.end()) break;
    const int wave = first->wave;
    bool goes_on = false;
    for (RollApp& app : roll.apps) {
      if (app.wave != wave) continue;
      if (app.step == RollStep::waiting) begin(round, roll, app);
      goes_on = goes_on || app.open();
    }
    if (goes_on) return;
  }
  roll.state = RollState::done;
  roll.ended_at = round.now;
}

}  // namespace

void step_rolls(Round& round) {
  for (auto& [id, roll] : round.world.rolls)
    if (roll.state == RollState::running) step_roll(round, roll);
}

}  // namespace karreg::scheduler
