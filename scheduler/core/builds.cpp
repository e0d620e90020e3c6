// A build: queued -> planning -> prepared (builder) -> running -> built (here, from what the agent
// reports) -> succeeded (builder).
#include <algorithm>
#include <set>

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

/// Whether @p build waits for room alone: it is ready, has no VM, and could have one if no other
/// build had.
bool waits_for_room(const Round& round, const Build& build) {
  if (build.state != BuildState::prepared) return false;
  const auto app = round.world.apps.find(build.app_id);
  const auto deployment = round.world.deployments.find(build.deployment);
  if (app == round.world.apps.end() || deployment == round.world.deployments.end() ||
      deployment->second.state != DeploymentState::wip || disks_are_held(round, app->second))
    return false;
  return room_after_builds(round.world, build_flavor(app->second, deployment->second), round.now);
}

/// How many builds have waited for room longer than @p build: the room that comes is theirs.
int before_it(const Round& round, const Build& build) {
  int count = 0;
  for (const auto& id : round.build_queue) {
    if (id == build.id) break;
    count += round.world.builds.at(id).state == BuildState::prepared;
  }
  return count;
}

/// "2nd", "3rd", "4th" ...
std::string ordinal(int number) {
  const int last = number % 10;
  const bool teen = number / 10 % 10 == 1;
  const char* ending = teen ? "th" : last == 1 ? "st" : last == 2 ? "nd" : last == 3 ? "rd" : "th";
  return std::to_string(number) + ending;
}

/// The deployment waits for room to build, as @p before others do. The pusher is told when it
/// begins to, and when its place changes; that a host has a little more or less is no news.
void wait_for_room(Round& round, Deployment& deployment, int before, const std::string& why) {
  const std::string place =
      before == 0 ? std::string() : ", " + ordinal(before + 1) + " in the queue";
  const std::string what = "waiting for room to build" + place + ": ";
  if (!deployment.message.starts_with(what))
    round.note(deployment, "Waiting for room to build" + place + ": " + why);
  deployment.message = what + why;
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
    const int before = before_it(round, build);
    std::string why = no_room(round.world, flavor, round.now, InstanceKind::build);
    if (why.empty() && before > 0) why = "builds that came before it wait, too";
    if (!why.empty()) {
      wait_for_room(round, deployment, before, why);
      // Builds end: what another one holds is waited for.
      if (round.now - build.state_since > round.policy().capacity_timeout &&
          !room_after_builds(round.world, flavor, round.now)) {
        build.message = "no room for the build: " + why;
        set_state(round, build, BuildState::failed);
      }
      return;
    }
    create_instance(round, InstanceKind::build, app.id, deployment.uuid, flavor).build_id =
        build.id;
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
             no_room(round.world, vm->flavor, round.now, InstanceKind::build).empty()) {
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

std::vector<std::string> waiting_builds(const Round& round) {
  std::vector<const Build*> waiting;
  for (const auto& [id, build] : round.world.builds)
    if (waits_for_room(round, build)) waiting.push_back(&build);
  std::ranges::sort(waiting, {},
                    [](const Build* build) { return std::pair(build->state_since, build->id); });
  std::vector<std::string> ids;
  for (const Build* build : waiting) ids.push_back(build->id);
  return ids;
}

std::vector<App*> in_turn(Round& round) {
  std::vector<App*> apps;
  std::set<std::string> first;
  for (const auto& id : round.build_queue) {
    const std::string& app = round.world.builds.at(id).app_id;
    if (first.insert(app).second) apps.push_back(&round.world.apps.at(app));
  }
  for (auto& [id, app] : round.world.apps)
    if (!first.contains(id)) apps.push_back(&app);
  return apps;
}

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
    deployment.runtime = build.runtime;
    deployment.image = build.image;
    deployment.message.clear();
    if (build.release.empty())
      enter(round, deployment, Phase::starting);
    else
      begin_release(round, deployment, build.release);
  } else if (build.state == BuildState::failed) {
    end_deployment(round, deployment, DeploymentState::fail, build.message);
  } else if (const Time since = std::max(deployment.phase_since, build.state_since);
             round.now - since > round.policy().build_timeout) {
    end_deployment(round, deployment, DeploymentState::fail,
                   "the build did not end within " + seconds_between(since, round.now) +
                       "; push again, or give the application a larger build size");
  }
}

}  // namespace karreg::scheduler
