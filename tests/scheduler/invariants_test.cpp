// The check of the world must itself be able to fail.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;

namespace {
World a_good_world() {
  APlatform p;
  p.deploy("app", 2);
  REQUIRE_THAT(broken_invariant(p.world), Catch::Equals(""));
  return p.world;
}
Instance& first(World& world) {
  return world.instances.begin()->second;
}
}  // namespace

TEST_CASE("a world that is not as it must be is found out") {
  World world = a_good_world();
  std::string expected;
  SECTION("unhealthy") {
    first(world).healthy = false;
    expected = "is unhealthy, though a healthy one is in service";
  }
  SECTION("stopped") {
    first(world).wanted = false;
    expected = "which is stopped";
  }
  SECTION("not in service") {
    first(world).routed = Routed::draining;
    expected = "which is not in service";
  }
  SECTION("unknown") {
    world.instances.erase(world.instances.begin());
    expected = "which is unknown";
  }
  SECTION("foreign") {
    first(world).app_id = "other";
    expected = "of another app";
  }
  SECTION("old address") {
    first(world).address = "10.9.9.9:1";
    expected = "at an old address";
  }
  SECTION("a deployment that failed and runs") {
    world.routes.clear();
    world.deployments.begin()->second.state = DeploymentState::fail;
    expected = "runs for a deployment that did not succeed";
  }
  SECTION("a job that is over and runs") {
    Instance job;
    job.id = "vm_job";
    job.app_id = "app";
    job.job_id = "job";
    job.kind = InstanceKind::job;
    world.instances[job.id] = job;
    expected = "runs for no job";
  }
  SECTION("two VMs of a job") {
    world.jobs["job"].id = "job";
    for (const char* id : {"vm_a", "vm_b"}) {
      Instance job;
      job.id = id;
      job.app_id = "app";
      job.job_id = "job";
      job.kind = InstanceKind::job;
      world.instances[job.id] = job;
    }
    expected = "job job has two VMs";
  }
  SECTION("never healthy and serving") {
    world.deployments.begin()->second.state = DeploymentState::wip;
    world.deployments.begin()->second.phase = Phase::starting;
    expected = "is served by a version that was never healthy";
  }
  SECTION("two in a slot") {
    for (auto& [id, instance] : world.instances) instance.number = 0;
    expected = "has two instances 0";
  }
  SECTION("neither open nor ended") {
    world.deployments.begin()->second.ended_at.reset();
    expected = "is neither open nor ended";
  }
  CHECK_THAT(broken_invariant(world), Catch::Contains(expected));
}
