// The way of one deployment, from the push to the new version in service.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;
using Serving = std::set<std::string>;

TEST_CASE("a first push is built, started, put in service and acknowledged") {
  APlatform p;
  const std::string d = p.push().uuid;
  p.settle();
  CHECK(p.phase(d) == Phase::building);
  CHECK(p.app().state == "WANTS_TO_BE_UP");
  CHECK(p.build_of(d).commit == "commit-1");

  p.pass(2300ms);
  p.built(d);
  CHECK(p.phase(d) == Phase::starting);
  CHECK(p.vm(d).host_id == "host-1");
  CHECK(p.served_by().empty());

  p.healthy(p.vm(d));
  CHECK(p.phase(d) == Phase::switching);
  CHECK(p.served_by() == Serving{d});
  CHECK(p.world.deployments.at(d).switch_version == p.world.route_version);

  p.pass(10s);
  p.proxies_acknowledge();
  CHECK(p.state(d) == DeploymentState::ok);
  CHECK(p.app().state == "SHOULD_BE_UP");
  CHECK(p.app().serving_deployment == d);
  CHECK(p.app().commit == "commit-1");
  CHECK(p.message(d).empty());
  CHECK(p.told("Successfully deployed in 12.3 s"));
}

TEST_CASE("the old version serves until every instance of the new one is healthy") {
  APlatform p;
  const std::string blue = p.deploy("app", 2);
  const std::string green = p.push("app", Action::deploy, 3).uuid;
  p.settle();
  p.built(green);
  REQUIRE(p.vms(green).size() == 3);
  p.healthy(p.vm(green, 0));
  p.healthy(p.vm(green, 2));
  CHECK(p.served_by() == Serving{blue});
  CHECK(p.backends().size() == 2);
  CHECK(p.app().serving_deployment == blue);
  p.healthy(p.vm(green, 1));
  CHECK(p.served_by() == Serving{green});
  CHECK(p.backends().size() == 3);
}

TEST_CASE("the switch is one version of the route table") {
  APlatform p;
  p.deploy("app", 2);
  const std::string green = p.push("app", Action::deploy, 2).uuid;
  p.settle();
  p.built(green);
  p.healthy(p.vm(green, 0));
  const auto before = p.world.route_version;
  p.healthy(p.vm(green, 1));
  CHECK(p.world.route_version == before + 1);
}

TEST_CASE("a deployment is over only when every live proxy has the new routes") {
  APlatform p;
  p.proxy("proxy-2");
  const std::string d = p.push().uuid;
  p.settle();
  p.built(d);
  p.healthy(p.vm(d));
  p.world.proxies.at("proxy-1").version = p.world.route_version;
  p.pass(20s);
  CHECK(p.state(d) == DeploymentState::wip);
  p.world.proxies.at("proxy-2").version = p.world.route_version;
  p.settle();
  CHECK(p.state(d) == DeploymentState::ok);
}

TEST_CASE("a proxy that is gone is not waited for") {
  APlatform p;
  p.proxy("proxy-2");
  p.silent = {"proxy-2"};
  p.pass(11s);
  CHECK_NOTHROW(p.deploy());
}

TEST_CASE("a proxy that lives and does not take routes is not waited for for ever") {
  APlatform p;
  p.proxy("proxy-2");
  const std::string d = p.push().uuid;
  p.settle();
  p.built(d);
  p.healthy(p.vm(d));
  p.world.proxies.at("proxy-1").version = p.world.route_version;
  p.pass(p.world.policy.switch_timeout);
  CHECK(p.state(d) == DeploymentState::wip);
  p.pass(1ms);
  CHECK(p.state(d) == DeploymentState::ok);
}

TEST_CASE("without any proxy a deployment waits and says so") {
  APlatform p;
  p.world.proxies.clear();
  const std::string d = p.push().uuid;
  p.settle();
  p.built(d);
  p.healthy(p.vm(d));
  p.pass(5min);
  CHECK(p.state(d) == DeploymentState::wip);
  CHECK(p.message(d) == "no reverse proxy is up; the new version serves as soon as one is");
  p.proxy("proxy-9");
  p.settle();
  CHECK(p.state(d) == DeploymentState::ok);
  CHECK(p.message(d).empty());
}

TEST_CASE("stopping empties the routes, drains, and keeps the host name known") {
  APlatform p;
  const std::string blue = p.deploy();
  const std::string stop = p.push("app", Action::undeploy).uuid;
  p.settle();
  CHECK(p.app().state == "SHOULD_BE_DOWN");
  REQUIRE(p.world.routes.contains({"app.localhost", "/"}));
  CHECK(p.world.routes.at({"app.localhost", "/"}).backends.empty());
  CHECK(p.state(stop) == DeploymentState::wip);
  CHECK(p.vms(blue).size() == 1);
  p.proxies_acknowledge();
  CHECK(p.state(stop) == DeploymentState::ok);
  CHECK(p.vms(blue).empty());
  CHECK(p.app().serving_deployment.empty());
  CHECK(p.told("Application stopped in"));
}

TEST_CASE("stopping what never ran is over at once") {
  APlatform p;
  const std::string stop = p.push("app", Action::undeploy).uuid;
  p.settle();
  CHECK(p.state(stop) == DeploymentState::ok);
}

TEST_CASE("scaling starts the version in service again without a build") {
  APlatform p;
  const std::string one = p.deploy();
  const std::string two = p.push("app", Action::upscale, 3).uuid;
  p.settle();
  CHECK(p.phase(two) == Phase::starting);
  CHECK(p.world.deployments.at(two).artifact_digest == "artifact-of-commit-1");
  CHECK(p.world.deployments.at(two).build_id == p.world.deployments.at(one).build_id);
  p.bring_up(two);
  CHECK(p.backends().size() == 3);
  CHECK(p.app().commit == "commit-1");
  CHECK(p.build_of(two).state == BuildState::succeeded);
}

TEST_CASE("a scaling that fails leaves the build of the version in service as it is") {
  APlatform p;
  const std::string one = p.deploy();
  const std::string two = p.push("app", Action::upscale, 2).uuid;
  p.settle();
  p.exits(p.vm(two, 1));
  CHECK(p.state(two) == DeploymentState::fail);
  CHECK(p.build_of(one).state == BuildState::succeeded);
  CHECK(p.served_by() == Serving{one});
}

TEST_CASE("scaling an app that does not run does not start it") {
  APlatform p;
  const std::string d = p.push("app", Action::upscale, 2).uuid;
  p.settle();
  CHECK(p.state(d) == DeploymentState::cancelled);
  CHECK(p.world.builds.empty());
  CHECK(p.app().state == "SHOULD_BE_DOWN");
}
