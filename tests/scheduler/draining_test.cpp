// Old instances get no new request, finish what they have, and stop.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;

namespace {
/// The new version has just been put in service.
struct Switched : APlatform {
  std::string old;  ///< instance
  std::string green;
  Switched() {
    old = vm(deploy()).id;
    green = push().uuid;
    settle();
    built(green);
    healthy(vm(green));
    REQUIRE(instance(old).routed == Routed::draining);
  }
};
}  // namespace

TEST_CASE("an old instance runs until every proxy has left it out of its table") {
  Switched p;
  p.proxy("proxy-2");
  p.world.proxies.at("proxy-2").version = p.world.route_version - 1;
  p.world.proxies.at("proxy-1").version = p.world.route_version;
  p.pass(20s);
  CHECK(p.instance(p.old).wanted);
  p.world.proxies.at("proxy-2").version = p.world.route_version;
  p.settle();
  CHECK_FALSE(p.instance(p.old).wanted);
}

TEST_CASE("an old instance runs until its requests are answered") {
  Switched p;
  p.proxies_acknowledge({{p.old, 2}});
  CHECK(p.state(p.green) == DeploymentState::ok);
  p.pass(20s);
  CHECK(p.instance(p.old).wanted);
  p.proxies_acknowledge({{p.old, 0}});
  CHECK_FALSE(p.instance(p.old).wanted);
}

TEST_CASE("requests that do not end are cut at the drain's deadline") {
  Switched p;
  p.proxies_acknowledge({{p.old, 1}});
  p.pass(p.world.policy.drain_timeout);
  CHECK(p.instance(p.old).wanted);
  p.pass(1ms);
  CHECK_FALSE(p.instance(p.old).wanted);
}

TEST_CASE("a proxy that lives but has old routes gets more time than slow requests") {
  Switched p;
  p.pass(p.world.policy.drain_timeout + 1s);
  CHECK(p.instance(p.old).wanted);
  p.pass(p.world.policy.switch_timeout);
  CHECK_FALSE(p.instance(p.old).wanted);
}

TEST_CASE("a scheduler that was away waits for proxies before it stops anything") {
  Switched p;
  p.now += 25s;
  p.world.hearing_since = p.now;
  p.settle();
  CHECK(p.instance(p.old).wanted);
  p.proxies_acknowledge();
  CHECK_FALSE(p.instance(p.old).wanted);
}

TEST_CASE("a proxy that went away long ago is not waited for by a scheduler that was away too") {
  Switched p;
  p.world.proxies.clear();
  p.proxy("proxy-1");
  p.proxies_acknowledge({{p.old, 1}});
  p.proxy("proxy-of-last-week");
  p.world.proxies.at("proxy-of-last-week").version = 0;
  p.now += 20min;
  p.world.hearing_since = p.now;
  p.world.proxies.at("proxy-1").last_seen = p.now;
  p.settle();
  CHECK_FALSE(p.instance(p.old).wanted);
}

TEST_CASE("an old instance that ends while it drains is let go") {
  Switched p;
  p.proxies_acknowledge({{p.old, 1}});
  p.exits(p.instance(p.old));
  CHECK_FALSE(p.instance(p.old).wanted);
}

TEST_CASE("the drain's deadline counts from the drain, not from when a replacement was asked for") {
  APlatform p;
  const std::string d = p.deploy();
  const std::string old = p.vm(d).id;
  p.sick(p.vm(d));
  p.pass(10min);
  p.healthy(p.vm(d));
  REQUIRE(p.instance(old).routed == Routed::draining);
  p.proxies_acknowledge({{old, 1}});
  p.pass(1s);
  CHECK(p.instance(old).wanted);
}
