// A build: queued -> planning -> prepared (builder) -> running -> built (here, from what the agent
// reports) -> succeeded (builder).
#include <algorithm>

#include "common/flavors.hpp"
#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

namespace {

/// Compilers and package managers need room, whatever the chosen size is.
std::string build_flavor(const App& app, const Deployment& deployment) {
  const std::string& wanted = app.separate_build ? app.build_flavor : deployment.flavor;
  const auto chosen = find_flavor(wanted);
  return chosen && chosen->memory_mb >= 1024 ? wanted : "XS";
}

void set_state(Round& round, Build& build, BuildState state) {
  build.state = state;
  build.state_since = round.now;
}

/// Whether a build VM of @p app that was given up may still run: it has the dependency cache open
/// for writing, and QEMU lets nobody else have it. One on a silent host is not waited for.
bool disks_are_held(const Round& round, const App& app) {
  for (const auto& [id, instance] : round.world.instances)
    if (instance.app_id == app.id && instance.builds() && !instance.ended_at &&
        !host_silent(round.world, instance, round.policy().host_lost_after, round.now))
      return true;
  return false;
}

void run_build_vm(Round& round, const App& app, Deployment& deployment, Build& build) {
  Instance* vm = nullptr;
  int tries = 0;
  for (auto& [id, instance] : round.world.instances) {
    if (instance.build_id != build.id) continue;
    ++tries;
    if (instance.alive()) vm = &instance;
  }
  if (vm == nullptr) {
    if (disks_are_held(round, app)) {
      deployment.message = "waiting for the end of an earlier build VM of this application";
      return;
    }
    const std::string flavor = build_flavor(app, deployment);
    if (const std::string why = no_room(round.world, flavor, round.now); !why.empty()) {
      deployment.message = "waiting for room to build: " + why;
      if (round.now - build.state_since > round.policy().capacity_timeout &&
          !room_comes(round.world, flavor, round.now)) {
        build.message = "no room for the build: " + why;
        set_state(round, build, BuildState::failed);
      }
      return;
    }
    Instance instance;
    instance.id = round.ids.instance();
    instance.app_id = app.id;
    instance.deployment = deployment.uuid;
    instance.build_id = build.id;
    instance.kind = InstanceKind::build;
    instance.flavor = flavor;
    instance.created_at = round.now;
    round.world.instances[instance.id] = instance;
    if (build.state == BuildState::prepared) set_state(round, build, BuildState::running);
    deployment.message.clear();
    return;
  }
  if (vm->phase == "built" && vm->result) {
    const auto& result = *vm->result;
    if (result.ok) {
      build.output_bytes = result.output_bytes;
      set_state(round, build, BuildState::built);
    } else {
      build.message = result.failed_step.empty()
                          ? "the build failed: " + result.reason
                          : "build step \"" + result.failed_step + "\" failed: " + result.reason;
      if (!vm->last_lines.empty()) build.message += "\nThe end of its output:\n" + vm->last_lines;
      set_state(round, build, BuildState::failed);
    }
    give_up(round, *vm);
  } else if (host_silent(round.world, *vm, round.policy().host_lost_after, round.now) &&
             no_room(round.world, vm->flavor, round.now).empty()) {
    round.note(deployment, "The host of the build VM does not answer, building on another");
    give_up(round, *vm);
  } else if (vm->terminal()) {
    const std::string why = vm->detail.empty() ? "it ended without a result" : vm->detail;
    give_up(round, *vm);
    if (tries < 2) {
      round.note(deployment, "The build VM did not work (" + why + "), trying another");
    } else {
      build.message = "the build VM did not work twice: " + why;
      set_state(round, build, BuildState::failed);
    }
  }
}

}  // namespace

void step_build(Round& round, const App& app, Deployment& deployment) {
  auto found = round.world.builds.find(deployment.build_id);
  if (found == round.world.builds.end()) {
    end_deployment(round, deployment, DeploymentState::fail,
                   "its build is missing from the database");
    return;
  }
  Build& build = found->second;
  if (build.state == BuildState::prepared || build.state == BuildState::running)
    run_build_vm(round, app, deployment, build);
  if (build.state == BuildState::succeeded) {
    deployment.artifact_digest = build.artifact_digest;
    deployment.message.clear();
    if (build.release.empty())
      enter(round, deployment, Phase::starting);
    else
      begin_release(round, deployment, build.release);
  } else if (build.state == BuildState::failed) {
    end_deployment(round, deployment, DeploymentState::fail, build.message);
  } else if (round.now - deployment.phase_since > round.policy().build_timeout) {
    end_deployment(round, deployment, DeploymentState::fail,
                   "the build did not end within " +
                       seconds_between(deployment.phase_since, round.now) +
                       "; push again, or give the application a larger build size");
  }
}

}  // namespace karreg::scheduler
