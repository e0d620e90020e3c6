// The build of a deployment: its VM, its failures, its limits.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;

namespace {
/// A push whose build is prepared by the builder.
std::string a_prepared_push(APlatform& p) {
  const std::string d = p.push().uuid;
  p.settle();
  p.prepared(d);
  return d;
}
}  // namespace

TEST_CASE("a prepared build gets a VM of at least 1 GiB, whatever the app's build size") {
  APlatform p;
  p.app().build_flavor = GENERATE("pico", "nano", "XS", "M", "no such size");
  const std::string d = a_prepared_push(p);
  CHECK(p.build_of(d).state == BuildState::running);
  const auto& vm = p.build_vm(d);
  CHECK(vm.build_id == p.build_of(d).id);
  CHECK(vm.flavor == (p.app().build_flavor == "M" ? "M" : "XS"));
}

TEST_CASE("a build whose artifact is known needs no VM") {
  APlatform p;
  const std::string d = p.push().uuid;
  p.settle();
  p.built(d);
  CHECK(p.vms(d, true).empty());
  CHECK(p.world.deployments.at(d).artifact_digest == "artifact-of-commit-1");
}

TEST_CASE("a good build is handed to the builder with its size") {
  APlatform p;
  const std::string d = a_prepared_push(p);
  auto& vm = p.build_vm(d);
  vm.phase = "built";
  vm.result = karreg::wire::guest::BuildResult{true, 40960, "", ""};
  p.settle();
  CHECK(p.build_of(d).state == BuildState::built);
  CHECK(p.build_of(d).output_bytes == 40960);
  CHECK(p.vms(d, true).empty());
  CHECK(p.phase(d) == Phase::building);
}

TEST_CASE("a build step that fails ends the deployment and says which, and how") {
  APlatform p;
  const std::string blue = p.deploy();
  const std::string d = a_prepared_push(p);
  auto& vm = p.build_vm(d);
  vm.phase = "built";
  vm.last_lines = "npm ERR! missing: left-pad\n";
  vm.result = karreg::wire::guest::BuildResult{false, 0, "npm ci", "command exited with 1"};
  p.settle();
  CHECK(p.state(d) == DeploymentState::fail);
  CHECK(p.message(d) ==
        "build step \"npm ci\" failed: command exited with 1\nThe end of its output:\n"
        "npm ERR! missing: left-pad\n");
  CHECK(p.told("Deploy failed in 0.0 s: build step \"npm ci\" failed"));
  CHECK(p.served_by() == std::set<std::string>{blue});
}

TEST_CASE("a build that the builder refuses ends the deployment with its message") {
  APlatform p;
  const std::string d = p.push().uuid;
  p.settle();
  p.build_of(d).state = BuildState::failed;
  p.build_of(d).message = "no build tool was found";
  p.settle();
  CHECK(p.state(d) == DeploymentState::fail);
  CHECK(p.message(d) == "no build tool was found");
  CHECK(p.app().state == "SHOULD_BE_DOWN");
}

TEST_CASE("a build VM that breaks is tried once more, not twice") {
  APlatform p;
  const std::string d = a_prepared_push(p);
  const std::string first = p.build_vm(d).id;
  p.vm_fails(p.build_vm(d));
  p.agents_clean_up();
  CHECK(p.build_vm(d).id != first);
  CHECK(p.state(d) == DeploymentState::wip);
  p.vm_fails(p.build_vm(d), "QEMU ended again");
  CHECK(p.state(d) == DeploymentState::fail);
  CHECK(p.message(d) == "the build VM did not work twice: QEMU ended again");
}

TEST_CASE("a build waits until an earlier build VM of its app is gone: both write one cache disk") {
  APlatform p;
  p.app().cancel_on_push = true;
  const std::string first = a_prepared_push(p);
  const std::string old_vm = p.build_vm(first).id;
  const std::string second = a_prepared_push(p);
  REQUIRE(p.state(first) == DeploymentState::cancelled);
  CHECK(p.vms(second, true).empty());
  CHECK(p.message(second) == "waiting for the end of an earlier build VM of this application");
  SECTION("which its agent reports") {
    p.agents_clean_up();
  }
  SECTION("or whose host is silent") {
    p.host("host-2", 4096);
    p.silent = {"host-1"};
    p.pass(31s);
    CHECK_FALSE(p.instance(old_vm).ended_at);
  }
  CHECK(p.vms(second, true).size() == 1);
  CHECK(p.message(second).empty());
}

TEST_CASE("a build VM that breaks late leaves its room to the second try") {
  APlatform p;
  p.host("host-1", 2048);
  const std::string d = a_prepared_push(p);
  p.pass(p.world.policy.capacity_timeout + 1min);
  p.vm_fails(p.build_vm(d));
  CHECK(p.state(d) == DeploymentState::wip);
  p.agents_clean_up();
  CHECK(p.vms(d, true).size() == 1);
}

TEST_CASE("a build has the size of the instances when it has none of its own") {
  APlatform p;
  p.app().separate_build = false;
  p.app().build_flavor = "L";
  auto& push = p.push();
  push.flavor = GENERATE("S", "pico");
  const std::string d = push.uuid;
  p.settle();
  p.prepared(d);
  CHECK(p.build_vm(d).flavor == (p.world.deployments.at(d).flavor == "S" ? "S" : "XS"));
}

TEST_CASE("a build VM on a lost host is made on another one") {
  APlatform p;
  p.host("host-2", 4096);
  const std::string d = a_prepared_push(p);
  REQUIRE(p.build_vm(d).host_id == "host-1");
  p.silent = {"host-1"};
  p.pass(31s);
  CHECK(p.build_vm(d).host_id == "host-2");
}

TEST_CASE("a build VM on the only host is waited for when the host is silent") {
  APlatform p;
  const std::string d = a_prepared_push(p);
  const std::string vm = p.build_vm(d).id;
  p.silent = {"host-1"};
  p.pass(5min);
  CHECK(p.build_vm(d).id == vm);
}

TEST_CASE("a build waits for room, says what it needs, and gives up in the end") {
  APlatform p;
  p.host("host-1", 512);
  const std::string d = a_prepared_push(p);
  CHECK(p.message(d) ==
        "waiting for room to build: an instance of size S needs 2048 MiB, the freest host has "
        "512 MiB");
  p.pass(p.world.policy.capacity_timeout);
  CHECK(p.state(d) == DeploymentState::wip);
  p.pass(1ms);
  CHECK(p.state(d) == DeploymentState::fail);
  CHECK(p.message(d) ==
        "no room for the build: an instance of size S needs 2048 MiB, the freest host has 512 "
        "MiB");
}

TEST_CASE("builds get room in the order in which they became ready, whatever their app") {
  APlatform p;
  p.host("host-1", 2048);
  std::map<std::string, std::string> of;
  const auto comes = [&](const std::string& app) {
    of[app] = p.push(app).uuid;
    p.settle();
    p.build_of(of[app]).state_since = p.now;
    p.prepared(of[app]);
    p.pass(1s);
  };
  for (const char* app : {"m", "z", "a", "k"}) comes(app);
  CHECK(p.vms(of["m"], true).size() == 1);
  CHECK(p.message(of["z"]).starts_with("waiting for room to build: an instance of size S needs"));
  CHECK(p.message(of["a"]).starts_with("waiting for room to build, 2nd in the queue: "));
  CHECK(p.message(of["k"]).starts_with("waiting for room to build, 3rd in the queue: "));
  CHECK(p.told("Waiting for room to build, 2nd in the queue: "));
  // Others build: nobody gives up.
  p.pass(p.world.policy.capacity_timeout + 5min);
  for (const char* app : {"z", "a", "k"}) CHECK(p.state(of[app]) == DeploymentState::wip);
  std::vector<std::string> order;
  for (const char* next : {"m", "z", "a", "k"}) {
    REQUIRE(p.vms(of[next], true).size() == 1);
    order.emplace_back(next);
    p.world.deployments.at(of[next]).cancel_requested = true;
    p.settle();
    p.agents_clean_up();
  }
  CHECK(p.told("Waiting for room to build: an instance of size S"));
}

TEST_CASE("a small build does not overtake a large one for ever") {
  APlatform p;
  p.host("host-1", 3072);
  p.app("big").build_flavor = "S";
  p.app("small-1").build_flavor = "XS";
  p.app("small-2").build_flavor = "XS";
  p.app("small-3").build_flavor = "XS";
  const auto comes = [&](const std::string& app) {
    const std::string d = p.push(app).uuid;
    p.settle();
    p.build_of(d).state_since = p.now;
    p.prepared(d);
    p.pass(1s);
    return d;
  };
  const auto first = comes("small-1");
  const auto second = comes("small-2");
  const auto big = comes("big");
  const auto third = comes("small-3");
  CHECK(p.vms(big, true).empty());
  // There is 1 GiB left, but the large one was here before.
  CHECK(p.vms(third, true).empty());
  CHECK(p.message(third) ==
        "waiting for room to build, 2nd in the queue: builds that came before it wait, too");
  p.world.deployments.at(first).cancel_requested = true;
  p.settle();
  p.agents_clean_up();
  CHECK(p.vms(big, true).size() == 1);
  CHECK(p.vms(third, true).empty());
  p.world.deployments.at(second).cancel_requested = true;
  p.settle();
  p.agents_clean_up();
  CHECK(p.vms(third, true).size() == 1);
}

TEST_CASE("a build that no host could ever have keeps nobody waiting") {
  APlatform p;
  p.host("host-1", 2048);
  p.app("huge").build_flavor = "M";
  const std::string huge = p.push("huge").uuid;
  p.settle();
  p.prepared(huge);
  p.pass(1s);
  const std::string d = a_prepared_push(p);
  CHECK(p.vms(d, true).size() == 1);
}

TEST_CASE("a build that found room after waiting no longer says that it waits") {
  APlatform p;
  p.host("host-1", 512);
  const std::string d = a_prepared_push(p);
  p.host("host-1", 2048);
  p.settle();
  CHECK(p.vms(d, true).size() == 1);
  CHECK(p.message(d).empty());
}

TEST_CASE("a build that never ends is ended") {
  APlatform p;
  const std::string d = a_prepared_push(p);
  p.pass(p.world.policy.build_timeout);
  CHECK(p.state(d) == DeploymentState::wip);
  p.pass(1ms);
  CHECK(p.state(d) == DeploymentState::fail);
  CHECK(p.build_of(d).state == BuildState::failed);
  CHECK(p.vms(d, true).empty());
}

TEST_CASE("a deployment that is cancelled fails its build, so that the builder lets go") {
  APlatform p;
  const std::string d = a_prepared_push(p);
  p.world.deployments.at(d).cancel_requested = true;
  p.settle();
  CHECK(p.build_of(d).state == BuildState::failed);
  CHECK(p.build_of(d).message == "cancelled on request");
}
