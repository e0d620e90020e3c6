// Which deployment of an app goes on, which waits, which is pointless.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;

TEST_CASE("a newer push supersedes a waiting one, not the active one") {
  APlatform p;
  const std::string first = p.push().uuid;
  p.settle();
  const std::string second = p.push().uuid;
  p.settle();
  CHECK(p.phase(second) == Phase::queued);
  const std::string third = p.push().uuid;
  p.settle();
  CHECK(p.state(second) == DeploymentState::cancelled);
  CHECK(p.message(second) == "superseded by deployment 3");
  CHECK(p.phase(first) == Phase::building);
  CHECK(p.phase(third) == Phase::queued);
  p.bring_up(first);
  CHECK(p.phase(third) == Phase::building);
  p.bring_up(third);
  CHECK(p.app().commit == "commit-3");
}

TEST_CASE("pushes of two apps do not wait for one another") {
  APlatform p;
  const std::string a = p.push("a").uuid;
  const std::string b = p.push("b").uuid;
  p.settle();
  CHECK(p.phase(a) == Phase::building);
  CHECK(p.phase(b) == Phase::building);
}

TEST_CASE("an app that cancels on push lets the newest version go at once") {
  APlatform p;
  p.app().cancel_on_push = true;
  const std::string first = p.push().uuid;
  p.settle();
  const std::string second = p.push().uuid;
  p.settle();
  CHECK(p.state(first) == DeploymentState::cancelled);
  CHECK(p.message(first) == "deployment 2 came, and this application cancels on push");
  CHECK(p.phase(second) == Phase::building);
}

TEST_CASE("cancelling on push does not touch a switch that has begun") {
  APlatform p;
  p.app().cancel_on_push = true;
  const std::string first = p.push().uuid;
  p.settle();
  p.built(first);
  p.healthy(p.vm(first));
  REQUIRE(p.phase(first) == Phase::switching);
  const std::string second = p.push().uuid;
  p.settle();
  CHECK(p.state(first) == DeploymentState::wip);
  p.proxies_acknowledge();
  CHECK(p.state(first) == DeploymentState::ok);
  CHECK(p.phase(second) == Phase::building);
}

TEST_CASE("a scaling does not make a waiting push pointless") {
  APlatform p;
  const std::string first = p.push().uuid;
  p.settle();
  const std::string second = p.push().uuid;
  const std::string scaling = p.push("app", Action::upscale, 2).uuid;
  p.settle();
  CHECK(p.state(second) == DeploymentState::wip);
  p.bring_up(first);
  p.bring_up(second);
  p.bring_up(scaling);
  CHECK(p.app().commit == "commit-2");
  CHECK(p.backends().size() == 2);
}

TEST_CASE("a scaling behind a first deployment takes what it brought into service") {
  APlatform p;
  const std::string first = p.push().uuid;
  p.settle();
  const std::string scaling = p.push("app", Action::upscale, 3).uuid;
  p.settle();
  CHECK(p.phase(first) == Phase::building);
  CHECK(p.phase(scaling) == Phase::queued);
  p.bring_up(first);
  CHECK(p.phase(scaling) == Phase::starting);
  CHECK(p.world.deployments.at(scaling).artifact_digest == "artifact-of-commit-1");
  p.bring_up(scaling);
  CHECK(p.world.builds.size() == 1);
  CHECK(p.backends().size() == 3);
  CHECK(p.served_by() == std::set<std::string>{scaling});
}

TEST_CASE("a scaling behind a first deployment that does not get into service is pointless") {
  APlatform p;
  const std::string first = p.push().uuid;
  p.settle();
  const std::string scaling = p.push("app", Action::upscale, 3).uuid;
  p.settle();
  p.world.deployments.at(first).cancel_requested = true;
  p.settle();
  CHECK(p.state(first) == DeploymentState::cancelled);
  CHECK(p.state(scaling) == DeploymentState::cancelled);
  CHECK(p.message(scaling) ==
        "no version is in service that could be scaled; the next deployment has the new size");
  CHECK(p.app().state == "SHOULD_BE_DOWN");
  CHECK(p.world.builds.size() == 1);
}

TEST_CASE("a newer scaling supersedes a waiting scaling") {
  APlatform p;
  p.push();
  p.settle();
  const std::string two = p.push("app", Action::upscale, 2).uuid;
  const std::string three = p.push("app", Action::upscale, 3).uuid;
  p.settle();
  CHECK(p.message(two) == "superseded by deployment 3");
  CHECK(p.state(three) == DeploymentState::wip);
}

TEST_CASE("a stop ends a deployment that is on its way") {
  APlatform p;
  const std::string first = p.push().uuid;
  p.settle();
  const std::string stop = p.push("app", Action::undeploy).uuid;
  p.settle();
  CHECK(p.message(first) == "deployment 2 stops the application");
  CHECK(p.state(stop) == DeploymentState::ok);
  CHECK(p.app().state == "SHOULD_BE_DOWN");
}

TEST_CASE("cancelling is honoured in every phase before the switch, and leaves the old version") {
  const auto phase = GENERATE(Phase::queued, Phase::building, Phase::starting);
  APlatform p;
  const std::string blue = p.deploy();
  const std::string active = p.push().uuid;
  p.settle();
  const std::string green = phase == Phase::queued ? p.push().uuid : active;
  p.settle();
  if (phase == Phase::starting) p.built(green);
  REQUIRE(p.phase(green) == phase);
  p.world.deployments.at(green).cancel_requested = true;
  p.settle();
  CHECK(p.state(green) == DeploymentState::cancelled);
  CHECK(p.message(green) == "cancelled on request");
  CHECK(p.vms(green).empty());
  CHECK(p.vms(green, true).empty());
  CHECK(p.served_by() == std::set<std::string>{blue});
  CHECK(p.app().state == "SHOULD_BE_UP");
  CHECK(p.told("Deployment cancelled: cancelled on request"));
}

TEST_CASE("cancelling comes too late once the switch has begun") {
  APlatform p;
  const std::string d = p.push().uuid;
  p.settle();
  p.built(d);
  p.healthy(p.vm(d));
  p.world.deployments.at(d).cancel_requested = true;
  p.settle();
  CHECK(p.state(d) == DeploymentState::wip);
  p.proxies_acknowledge();
  CHECK(p.state(d) == DeploymentState::ok);
}

TEST_CASE("a cancelled push makes no other pointless") {
  APlatform p;
  p.push();
  p.settle();
  const std::string second = p.push().uuid;
  auto& third = p.push();
  third.cancel_requested = true;
  p.settle();
  CHECK(p.state(second) == DeploymentState::wip);
}

TEST_CASE("a first deployment that is cancelled leaves the app down") {
  APlatform p;
  const std::string d = p.push().uuid;
  p.settle();
  p.world.deployments.at(d).cancel_requested = true;
  p.settle();
  CHECK(p.app().state == "SHOULD_BE_DOWN");
}
