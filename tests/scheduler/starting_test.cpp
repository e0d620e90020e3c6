// New instances come up, or do not: the old version serves in every case.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;
using Serving = std::set<std::string>;

namespace {
/// An app in service and a newer version that starts with @p instances.
struct Starting : APlatform {
  std::string blue;
  std::string green;
  explicit Starting(int instances = 1) {
    blue = deploy();
    green = push("app", Action::deploy, instances).uuid;
    settle();
    built(green);
    REQUIRE(phase(green) == Phase::starting);
  }
  /// The new version failed with @p why, and the old one serves as before.
  void check_failed(const std::string& why) {
    CHECK(state(green) == DeploymentState::fail);
    CHECK(message(green) == why);
    CHECK(vms(green).empty());
    CHECK(served_by() == Serving{blue});
    CHECK(app().serving_deployment == blue);
    CHECK(app().state == "SHOULD_BE_UP");
    CHECK(app().commit == "commit-1");
  }
};
}  // namespace

TEST_CASE("a version that exits at once leaves the old one serving and says its last words") {
  Starting p;
  p.vm(p.green).last_lines = "Error: Cannot find module 'express'\n";
  p.exits(p.vm(p.green));
  p.check_failed(
      "instance 0 did not start: the app exited with code 1\nThe end of its output:\n"
      "Error: Cannot find module 'express'\n");
  CHECK(p.told("Deploy failed in 0.0 s: instance 0 did not start"));
}

TEST_CASE("a version that is never healthy leaves the old one serving") {
  Starting p;
  auto& vm = p.vm(p.green);
  vm.reached_guest = true;
  p.vm_fails(vm, "it was not ready within 180 s: GET /health answered 500");
  p.check_failed(
      "instance 0 did not start: it was not ready within 180 s: GET /health answered 500");
}

TEST_CASE("one instance of three that does not start fails the version") {
  Starting p(3);
  p.healthy(p.vm(p.green, 0));
  p.healthy(p.vm(p.green, 2));
  p.exits(p.vm(p.green, 1));
  p.check_failed("instance 1 did not start: the app exited with code 1");
}

TEST_CASE("a first version that fails leaves the app down") {
  APlatform p;
  const std::string d = p.push().uuid;
  p.settle();
  p.built(d);
  p.exits(p.vm(d));
  CHECK(p.state(d) == DeploymentState::fail);
  CHECK(p.app().state == "SHOULD_BE_DOWN");
  CHECK(p.served_by().empty());
}

TEST_CASE("a VM that breaks before its guest speaks is tried once more") {
  Starting p;
  const std::string first = p.vm(p.green).id;
  p.vm_fails(p.vm(p.green), "no free address");
  REQUIRE(p.vm(p.green).id != first);
  CHECK(p.told("A VM did not start (no free address), trying another"));

  SECTION("and may work then") {
    p.healthy(p.vm(p.green));
    CHECK(p.served_by() == Serving{p.green});
  }
  SECTION("but not a third time") {
    p.vm_fails(p.vm(p.green), "no free address");
    p.check_failed("instance 0 did not start: no free address");
  }
}

TEST_CASE("a new instance on a lost host is started on another one") {
  APlatform p;
  p.host("host-2", 4096);
  const std::string d = p.push().uuid;
  p.settle();
  p.built(d);
  REQUIRE(p.vm(d).host_id == "host-1");
  p.silent = {"host-1"};
  p.pass(31s);
  CHECK(p.vm(d).host_id == "host-2");
}

TEST_CASE("a new instance whose host went silent is not switched to") {
  Starting p(2);
  p.healthy(p.vm(p.green, 0));
  p.silent = {"host-1"};
  p.pass(31s);
  p.healthy(p.vm(p.green, 1));
  CHECK(p.phase(p.green) == Phase::starting);
  p.silent.clear();
  p.pass(1s);
  CHECK(p.phase(p.green) == Phase::switching);
}

TEST_CASE("a version without room waits, says what it needs, and fails in the end") {
  APlatform p;
  p.host("host-1", 256 + 100);
  const std::string blue = p.deploy();
  const std::string green = p.push().uuid;
  p.settle();
  p.built(green);
  CHECK(p.message(green) ==
        "waiting for room: an instance of size pico needs 256 MiB, the freest host has 100 MiB");
  p.pass(p.world.policy.capacity_timeout);
  CHECK(p.state(green) == DeploymentState::wip);

  SECTION("it starts when room comes in time") {
    p.host("host-2", 512);
    p.settle();
    CHECK(p.vm(green).host_id == "host-2");
    CHECK(p.message(green).empty());
  }
  SECTION("it fails when none comes") {
    p.pass(1ms);
    CHECK(p.state(green) == DeploymentState::fail);
    CHECK(p.message(green) ==
          "no room for a new instance: an instance of size pico needs 256 MiB, the freest host has "
          "100 MiB; stop something, choose a smaller size, or add a host");
    CHECK(p.served_by() == Serving{blue});
  }
}

TEST_CASE("without any host a version waits and says so") {
  APlatform p;
  p.world.hosts.clear();
  const std::string d = p.push().uuid;
  p.settle();
  p.built(d);
  CHECK(p.message(d) == "waiting for room: no host is up");
}

TEST_CASE("instances that never report end the deployment at last") {
  Starting p;
  p.pass(p.world.policy.starting_timeout);
  CHECK(p.state(p.green) == DeploymentState::wip);
  p.pass(1ms);
  p.check_failed("the new instances were not ready within 600.0 s; instance 0 is placed");
}

TEST_CASE("an app that allows downtime lets the old version go when there is no room for both") {
  APlatform p;
  p.host("host-1", 256 + 100);
  p.app().homogeneous = true;
  const std::string blue = p.deploy();
  const std::string green = p.push().uuid;
  p.settle();
  p.built(green);
  CHECK(p.told("There is no room for both versions, stopping the old one first"));
  CHECK(p.served_by().empty());
  p.proxies_acknowledge();
  CHECK(p.vms(blue).empty());
  p.agents_clean_up();
  REQUIRE(p.vms(green).size() == 1);

  SECTION("the new one serves") {
    p.bring_up(green);
    CHECK(p.served_by() == Serving{green});
  }
  SECTION("the old one comes back when the new one fails") {
    p.exits(p.vm(green));
    p.agents_clean_up();
    CHECK(p.state(green) == DeploymentState::fail);
    p.pass(1s);
    p.healthy(p.vm(blue));
    CHECK(p.served_by() == Serving{blue});
  }
}

TEST_CASE("an app that allows downtime has none while there is room for both, or while it comes") {
  APlatform p;
  p.app().homogeneous = true;
  const std::string blue = p.deploy();

  SECTION("there is room") {
    const std::string green = p.push().uuid;
    p.settle();
    p.built(green);
    CHECK(p.served_by() == Serving{blue});
  }
  SECTION("a stopping VM holds the room") {
    p.deploy("other");
    const std::string stop = p.push("other", Action::undeploy).uuid;
    p.settle();
    p.proxies_acknowledge();
    REQUIRE(p.state(stop) == DeploymentState::ok);
    p.world.hosts.at("host-1").memory_mb = 512;
    const std::string green = p.push().uuid;
    p.settle();
    p.built(green);
    REQUIRE(p.vms(green).empty());
    CHECK(p.served_by() == Serving{blue});
    p.agents_clean_up();
    CHECK(p.vms(green).size() == 1);
  }
  SECTION("no host is up") {
    const std::string green = p.push().uuid;
    p.settle();
    p.silent = {"host-1"};
    p.pass(16s);
    p.built(green);
    CHECK(p.served_by() == Serving{blue});
  }
}

TEST_CASE("a VM that fails late leaves its room to the second try") {
  APlatform p;
  p.host("host-1", 8192);
  const std::string d = p.push().uuid;
  p.settle();
  p.built(d);
  // All the memory there is: the second try must wait for the end of the first.
  p.host("host-1", 256);
  p.pass(p.world.policy.capacity_timeout + 1min);
  p.vm_fails(p.vm(d));
  CHECK(p.state(d) == DeploymentState::wip);
  p.agents_clean_up();
  CHECK(p.vms(d).size() == 1);
}
