// A deleted app leaves nothing behind.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;

TEST_CASE("a deleted app loses its routes, its deployments and its VMs, and is torn down then") {
  APlatform p;
  p.app().tcp_ports = {4000};
  const std::string blue = p.deploy();
  REQUIRE(p.world.tcp_routes.size() == 1);
  const std::string green = p.push().uuid;
  p.settle();
  p.prepared(green);
  const std::string build_vm = p.build_vm(green).id;
  p.app().deleted = true;
  p.settle();
  CHECK(p.state(green) == DeploymentState::cancelled);
  CHECK(p.message(green) == "the application was deleted");
  CHECK(p.world.routes.empty());
  CHECK(p.world.tcp_routes.empty());
  CHECK_FALSE(p.instance(build_vm).wanted);
  CHECK(p.vms(blue).size() == 1);
  CHECK_FALSE(p.app().torn_down);
  p.proxies_acknowledge();
  CHECK(p.vms(blue).empty());
  CHECK_FALSE(p.app().torn_down);
  p.agents_clean_up();
  CHECK(p.app().torn_down);
}

TEST_CASE("an app deleted on a host that is gone is torn down in the end") {
  APlatform p;
  p.deploy();
  p.silent = {"host-1"};
  p.app().deleted = true;
  p.pass(30min);
  p.proxies_acknowledge();
  CHECK_FALSE(p.app().torn_down);
  p.pass(31min);
  CHECK(p.app().torn_down);
}

TEST_CASE("a deleted app that crashes is not healed") {
  APlatform p;
  const std::string d = p.deploy();
  p.app().deleted = true;
  p.exits(p.vm(d));
  p.pass(5min);
  CHECK(p.vms(d).empty());
}

TEST_CASE("nobody is told about an app that is deleted") {
  APlatform p;
  p.push();
  p.settle();
  p.notes.clear();
  p.app().deleted = true;
  p.settle();
  CHECK(p.notes.empty());
}

TEST_CASE("an app that never ran is torn down at once") {
  APlatform p;
  p.app().deleted = true;
  p.settle();
  CHECK(p.app().torn_down);
}
