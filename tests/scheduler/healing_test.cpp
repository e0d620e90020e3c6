// What serves is kept alive, at its number, without making things worse.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;
using Backends = std::set<std::string>;

TEST_CASE("a crashed instance leaves the routes at once and is replaced after a second") {
  APlatform p;
  const std::string d = p.deploy("app", 2);
  const std::string crashed = p.vm(d, 0).id;
  const std::string other = p.vm(d, 1).id;
  p.exits(p.vm(d, 0), "the app was killed by signal 11");
  CHECK(p.backends() == Backends{other});
  CHECK_FALSE(p.instance(crashed).wanted);
  CHECK(p.told("Instance 0 ended: the app was killed by signal 11"));
  p.pass(999ms);
  CHECK(p.vms(d).size() == 1);
  p.pass(1ms);
  REQUIRE(p.vms(d).size() == 2);
  const std::string replacement = p.vm(d, 0).id;
  CHECK(p.backends() == Backends{other});
  p.healthy(p.vm(d, 0));
  CHECK(p.backends() == Backends{other, replacement});
}

TEST_CASE("the only instance crashes: nothing is routed, and it comes back by itself") {
  APlatform p;
  const std::string d = p.deploy();
  p.exits(p.vm(d));
  CHECK(p.backends().empty());
  CHECK(p.app().serving_deployment == d);
  p.pass(1s);
  p.healthy(p.vm(d));
  CHECK(p.backends().size() == 1);
}

TEST_CASE("an app that crashes again and again is started less and less often, up to a minute") {
  APlatform p;
  const std::string d = p.deploy();
  std::vector<int> waits;
  for (int crash = 0; crash < 9; ++crash) {
    p.exits(p.vm(d));
    p.agents_clean_up();
    int seconds = 0;
    while (p.vms(d).empty() && seconds < 200) {
      p.pass(1s);
      ++seconds;
    }
    waits.push_back(seconds);
  }
  CHECK(waits == std::vector<int>{1, 2, 4, 8, 16, 32, 60, 60, 60});
}

TEST_CASE("old crashes are forgiven") {
  APlatform p;
  const std::string d = p.deploy();
  for (int crash = 0; crash < 4; ++crash) {
    p.exits(p.vm(d));
    p.pass(60s);
  }
  p.healthy(p.vm(d));
  p.pass(p.world.policy.backoff_window + 1min);
  p.exits(p.vm(d));
  p.pass(1s);
  CHECK(p.vms(d).size() == 1);
}

TEST_CASE("the back-off of one slot does not hold up another") {
  APlatform p;
  const std::string d = p.deploy("app", 2);
  for (int crash = 0; crash < 5; ++crash) {
    p.exits(p.vm(d, 0));
    p.pass(20s);
  }
  p.exits(p.vm(d, 1));
  p.pass(1s);
  CHECK_NOTHROW(p.vm(d, 1));
}

TEST_CASE("an unhealthy instance gets no request while another is healthy") {
  APlatform p;
  const std::string d = p.deploy("app", 2);
  const std::string other = p.vm(d, 1).id;
  p.sick(p.vm(d, 0));
  CHECK(p.backends() == Backends{other});
}

TEST_CASE("the only instance serves on though unhealthy, until its replacement is healthy") {
  APlatform p;
  const std::string d = p.deploy();
  const std::string old = p.vm(d).id;
  p.sick(p.vm(d));
  CHECK(p.backends() == Backends{old});
  CHECK(p.told("Instance 0 fails its health checks (GET / answered 500), starting another"));
  const std::string fresh = p.vm(d).id;
  REQUIRE(fresh != old);
  p.healthy(p.vm(d));
  CHECK(p.backends() == Backends{fresh});
  CHECK(p.instance(old).routed == Routed::draining);
  p.proxies_acknowledge();
  CHECK_FALSE(p.instance(old).wanted);
}

TEST_CASE("an unhealthy instance that recovers first is not taken out for being alone") {
  APlatform p;
  const std::string d = p.deploy();
  const std::string old = p.vm(d).id;
  p.sick(p.vm(d));
  p.healthy(p.instance(old));
  CHECK(p.backends() == Backends{old});
  CHECK(p.instance(old).wanted);
  SECTION("its replacement serves when it is up") {
    const std::string fresh = p.vm(d).id;
    p.healthy(p.vm(d));
    CHECK(p.backends() == Backends{fresh});
  }
  SECTION("it keeps its place when the replacement does not come up") {
    p.exits(p.vm(d));
    p.pass(5s);
    CHECK(p.vms(d).size() == 1);
    CHECK(p.vm(d).id == old);
    CHECK_FALSE(p.instance(old).unwanted_at);
  }
}

TEST_CASE("an unhealthy instance stays when there is no room for another") {
  APlatform p;
  p.host("host-1", 300);
  const std::string d = p.deploy();
  const std::string old = p.vm(d).id;
  p.sick(p.vm(d));
  p.pass(1min);
  CHECK(p.backends() == Backends{old});
  CHECK(p.vms(d).size() == 1);
  CHECK_FALSE(p.instance(old).unwanted_at);
}

TEST_CASE("an instance that is not healthy yet is not taken for a sick one") {
  APlatform p;
  const std::string d = p.deploy();
  const std::string id = p.vm(d).id;
  // Its VM was started anew by the agent, or adopted: healthy_at is of the VM that runs.
  p.vm(d).healthy = false;
  p.vm(d).healthy_at.reset();
  p.vm(d).phase = "booting";
  p.pass(10s);
  p.vm(d).phase = "running";
  p.pass(10s);
  CHECK(p.vm(d).id == id);
}

TEST_CASE("an instance that ends while its replacement boots is taken out") {
  APlatform p;
  const std::string d = p.deploy();
  const std::string old = p.vm(d).id;
  p.sick(p.vm(d));
  p.exits(p.instance(old));
  CHECK(p.backends().empty());
  CHECK_FALSE(p.instance(old).wanted);
  CHECK(p.vms(d).size() == 1);
}

TEST_CASE("instances of a lost host are replaced on another after 30 s") {
  APlatform p;
  p.host("host-2", 4096);
  const std::string d = p.deploy();
  const std::string old = p.vm(d).id;
  REQUIRE(p.vm(d).host_id == "host-1");
  p.silent = {"host-1"};
  p.pass(30s);
  CHECK(p.vms(d).size() == 1);
  p.pass(1s);
  CHECK(p.vm(d).host_id == "host-2");
  CHECK(p.backends() == Backends{old});
  const std::string fresh = p.vm(d).id;
  p.healthy(p.vm(d));
  CHECK(p.backends() == Backends{fresh});
  p.proxies_acknowledge();
  CHECK_FALSE(p.instance(old).wanted);
}

TEST_CASE("instances of the only host serve on while its agent is away") {
  APlatform p;
  const std::string d = p.deploy("app", 2);
  const auto before = p.backends();
  p.silent = {"host-1"};
  p.pass(1h);
  CHECK(p.backends() == before);
  p.silent.clear();
  p.pass(1s);
  CHECK(p.backends() == before);
  CHECK(p.vms(d).size() == 2);
}

TEST_CASE("a silent host's instances get no request while others can") {
  APlatform p;
  p.host("host-2", 8000);
  const std::string d = p.deploy("app", 2);
  REQUIRE(p.vm(d, 0).host_id == "host-1");
  REQUIRE(p.vm(d, 1).host_id == "host-2");
  p.silent = {"host-1"};
  p.pass(16s);
  CHECK(p.backends() == Backends{p.vm(d, 1).id});
  p.silent.insert("host-2");
  p.pass(6s);
  CHECK(p.backends() == Backends{p.vm(d, 1).id});
  p.pass(1ms);  // nobody is sure any more
  CHECK(p.backends().size() == 2);
  p.silent.clear();
  p.pass(1s);
  CHECK(p.backends().size() == 2);
}

TEST_CASE("after an outage of the scheduler itself nobody is taken for lost") {
  APlatform p;
  p.host("host-2", 4096);
  const std::string d = p.deploy();
  const std::string id = p.vm(d).id;
  p.now += 1h;  // nobody was heard, since nobody listened
  p.world.hearing_since = p.now;
  p.settle();
  CHECK(p.vm(d).id == id);
  CHECK(p.backends() == Backends{id});
  p.silent = {"host-1"};
  p.pass(30s);
  CHECK(p.vm(d).id == id);
  p.pass(1s);
  CHECK(p.vm(d).host_id == "host-2");
}

TEST_CASE("an instance that runs for nothing is let go") {
  APlatform p;
  p.deploy();
  Instance stray;
  stray.id = "vm_9999";
  stray.app_id = "app";
  stray.deployment = "app-77";
  stray.host_id = "host-1";
  stray.flavor = "pico";
  p.world.instances[stray.id] = stray;
  p.settle();
  CHECK_FALSE(p.instance("vm_9999").wanted);
}

TEST_CASE("a crash while a new version starts is healed with the old version") {
  APlatform p;
  const std::string blue = p.deploy();
  const std::string green = p.push().uuid;
  p.settle();
  p.exits(p.vm(blue));
  p.pass(1s);
  p.healthy(p.vm(blue));
  CHECK(p.served_by() == Backends{blue});
  CHECK(p.phase(green) == Phase::building);
}

TEST_CASE("a new instance that crashes after the switch is replaced, and the deployment succeeds") {
  APlatform p;
  const std::string d = p.push().uuid;
  p.settle();
  p.built(d);
  p.healthy(p.vm(d));
  REQUIRE(p.phase(d) == Phase::switching);
  p.exits(p.vm(d));
  p.pass(1s);
  p.healthy(p.vm(d));
  p.proxies_acknowledge();
  CHECK(p.state(d) == DeploymentState::ok);
  CHECK(p.backends().size() == 1);
}

TEST_CASE("an instance that its agent stops though it is wanted is replaced") {
  APlatform p;
  const std::string d = p.deploy();
  const std::string first = p.vm(d).id;
  auto& vm = p.vm(d);
  vm.phase = "stopping";
  vm.healthy = false;
  p.settle();
  p.pass(2s);
  CHECK(p.vm(d).id != first);
}
