// Applications that nobody asks for sleep, and wake with the next request.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;

namespace {

/// An application in service that may sleep after ten minutes without a request.
struct Sleepy : APlatform {
  std::string deployment;
  explicit Sleepy(int instances = 1) {
    deployment = deploy("app", instances);
    app().sleep_after = 10min;
  }
  Sleep wakefulness() { return app().sleep; }
  bool routes_say_asleep() const {
    bool asleep = !world.routes.empty();
    for (const auto& [key, route] : world.routes)
      asleep = asleep && route.asleep && route.backends.empty();
    return asleep;
  }
  void a_request_comes() {
    now += 1ms;
    app().last_request = now;
    settle();
  }
  /// Asleep, and nothing runs any more.
  void falls_asleep() {
    pass(10min);
    REQUIRE(wakefulness() == Sleep::asleep);
    proxies_acknowledge();
    agents_clean_up();
    REQUIRE(vms(deployment).empty());
  }
};

}  // namespace

TEST_CASE("an application sleeps when nobody has asked for it for its time") {
  Sleepy p(2);
  p.pass(5min);
  p.a_request_comes();
  p.pass(10min - 1ms);
  CHECK(p.wakefulness() == Sleep::awake);
  p.pass(1ms);
  CHECK(p.wakefulness() == Sleep::asleep);
  CHECK(p.told("No request for 10 min: the application goes to sleep"));
  // As at a switch: what it has is stopped when no proxy sends anything there any more.
  CHECK(p.routes_say_asleep());
  CHECK(p.vms(p.deployment).size() == 2);
  p.proxies_acknowledge();
  CHECK(p.vms(p.deployment).empty());
  p.agents_clean_up();
  p.pass(30 * 24h);
  CHECK(p.wakefulness() == Sleep::asleep);
  CHECK(p.vms(p.deployment).empty());
  CHECK(p.app().state == "SHOULD_BE_UP");
}

TEST_CASE("an application whose owner has not allowed it never sleeps") {
  Sleepy p;
  p.app().sleep_after = 0s;
  p.pass(365 * 24h);
  CHECK(p.wakefulness() == Sleep::awake);
}

TEST_CASE("an application with a port of a TCP service never sleeps, and wakes when it gets one") {
  Sleepy p;
  p.app().tcp_ports = {4000};
  p.pass(24h);
  CHECK(p.wakefulness() == Sleep::awake);
  p.app().tcp_ports = {};
  p.falls_asleep();
  p.app().tcp_ports = {4000};
  p.pass(1s);
  CHECK(p.told("Waking up: it has a port of a TCP service"));
  p.healthy(p.vm(p.deployment));
  CHECK(p.backends().size() == 1);
}

TEST_CASE("the next request wakes it, with instances of the same deployment") {
  Sleepy p(2);
  p.falls_asleep();
  p.pass(1h);
  p.a_request_comes();
  CHECK(p.wakefulness() == Sleep::waking);
  CHECK(p.told("Waking up: a request came"));
  REQUIRE(p.vms(p.deployment).size() == 2);
  CHECK(p.routes_say_asleep());
  p.pass(3s);
  p.healthy(p.vm(p.deployment, 1));
  CHECK(p.wakefulness() == Sleep::awake);
  CHECK(p.told("Awake again after 3.0 s"));
  CHECK_FALSE(p.routes_say_asleep());
  CHECK(p.backends().size() == 1);
  p.healthy(p.vm(p.deployment, 0));
  CHECK(p.backends().size() == 2);
  // The time counts from then on.
  p.pass(10min - 1s);
  CHECK(p.wakefulness() == Sleep::awake);
}

TEST_CASE("to have slept is no failure: the instance of an application that wakes starts at once") {
  Sleepy p;
  p.app().sleep_after = 60s;
  for (int night = 0; night < 6; ++night) {
    p.pass(60s);
    REQUIRE(p.wakefulness() == Sleep::asleep);
    p.proxies_acknowledge();
    p.agents_clean_up();
    p.pass(1s);
    p.a_request_comes();
    REQUIRE(p.vms(p.deployment).size() == 1);
    p.healthy(p.vm(p.deployment));
    REQUIRE(p.wakefulness() == Sleep::awake);
  }
}

TEST_CASE("a request that was on its way when the route changed brings the instances back") {
  Sleepy p(2);
  p.pass(10min);
  REQUIRE(p.wakefulness() == Sleep::asleep);
  const auto first = p.vms(p.deployment)[0]->id;
  p.proxies_acknowledge({{first, 1}});
  CHECK(p.wakefulness() == Sleep::awake);
  CHECK(p.instance(first).wanted);
  CHECK(p.backends().size() == 2);
  CHECK(p.vms(p.deployment).size() == 2);
  p.proxies_acknowledge();
  p.pass(10min);
  CHECK(p.wakefulness() == Sleep::asleep);
}

TEST_CASE("a request that comes before the instances have stopped is served by them") {
  Sleepy p;
  p.pass(10min);
  const auto id = p.vms(p.deployment).at(0)->id;
  p.a_request_comes();
  p.pass(100ms);
  p.a_request_comes();
  CHECK(p.wakefulness() == Sleep::awake);
  CHECK(p.backends() == std::set<std::string>{id});
  CHECK_FALSE(p.instance(id).unwanted_at);
}

TEST_CASE("a proxy that does not take the new route keeps the application awake") {
  Sleepy p;
  p.proxy("proxy-2");
  p.pass(10min);
  REQUIRE(p.wakefulness() == Sleep::asleep);
  const auto id = p.vms(p.deployment).at(0)->id;
  SECTION("though it reports") {}
  SECTION("and has fallen silent") {
    p.silent.insert("proxy-2");
  }
  p.world.proxies.at("proxy-1").version = p.world.route_version;
  p.pass(p.world.policy.drain_timeout);
  CHECK(p.instance(id).wanted);
  CHECK(p.wakefulness() == Sleep::asleep);
  p.pass(1s);
  CHECK(p.wakefulness() == Sleep::awake);
  CHECK(p.told("not all reverse proxies know that it sleeps"));
  CHECK(p.backends() == std::set<std::string>{id});
}

TEST_CASE("nobody sleeps while a proxy has not told what it was asked") {
  Sleepy p;
  SECTION("it is silent, and may be serving all the same") {
    p.silent.insert("proxy-1");
  }
  SECTION("its figures do not come") {
    p.mute.insert("proxy-1");
  }
  SECTION("it has never told any") {
    p.world.proxies.at("proxy-1").covered_since.reset();
  }
  SECTION("a second one is silent") {
    p.proxy("proxy-2");
    p.silent.insert("proxy-2");
  }
  SECTION("what it was asked is known for a part of the time") {
    p.world.proxies.at("proxy-1").covered_since = p.now + 1s;
    p.pass(10min + 999ms);
    CHECK(p.wakefulness() == Sleep::awake);
    p.pass(1ms);
    CHECK(p.wakefulness() == Sleep::asleep);
    return;
  }
  SECTION("there is none") {
    p.world.proxies.clear();
  }
  p.pass(10min + 30s);
  CHECK(p.wakefulness() == Sleep::awake);
}

TEST_CASE("a proxy that has been away for long is not in service any more") {
  Sleepy p;
  p.proxy("proxy-of-old");
  p.silent.insert("proxy-of-old");
  p.pass(p.world.policy.proxy_forgotten);
  CHECK(p.wakefulness() == Sleep::awake);
  p.pass(1ms);
  CHECK(p.wakefulness() == Sleep::asleep);
}

TEST_CASE("nobody sleeps who is being deployed, healed, or not well") {
  Sleepy p(2);
  SECTION("a deployment is under way") {
    p.push();
  }
  SECTION("an instance is sick") {
    p.sick(p.vm(p.deployment));
  }
  SECTION("an instance is missing") {
    p.exits(p.vm(p.deployment));
  }
  SECTION("nothing leads to it") {
    p.app().vhosts.clear();
  }
  p.pass(20min);
  CHECK(p.wakefulness() == Sleep::awake);
}

TEST_CASE("a version that has just come into service is not idle before its time") {
  Sleepy p;
  p.pass(9min);
  p.app().last_request = p.now - 9min;
  const auto green = p.push().uuid;
  p.bring_up(green);
  p.pass(9min);
  CHECK(p.wakefulness() == Sleep::awake);
  p.pass(1min);
  CHECK(p.wakefulness() == Sleep::asleep);
}

TEST_CASE("a deployment while it sleeps replaces what would wake") {
  Sleepy p;
  p.falls_asleep();
  const auto green = p.push().uuid;
  p.settle();
  CHECK(p.wakefulness() == Sleep::asleep);
  CHECK(p.routes_say_asleep());
  p.built(green);
  p.healthy(p.vm(green));
  CHECK(p.wakefulness() == Sleep::awake);
  CHECK(p.served_by() == std::set<std::string>{green});
  p.proxies_acknowledge();
  CHECK(p.state(green) == DeploymentState::ok);
}

TEST_CASE("a request during such a deployment wakes the version that slept") {
  Sleepy p;
  p.falls_asleep();
  const auto green = p.push().uuid;
  p.settle();
  p.a_request_comes();
  REQUIRE(p.vms(p.deployment).size() == 1);
  p.healthy(p.vm(p.deployment));
  CHECK(p.wakefulness() == Sleep::awake);
  CHECK(p.served_by() == std::set<std::string>{p.deployment});
  p.bring_up(green);
  CHECK(p.served_by() == std::set<std::string>{green});
}

TEST_CASE("a new size while it sleeps brings it up in that size") {
  Sleepy p;
  p.falls_asleep();
  const auto larger = p.push("app", Action::upscale, 2).uuid;
  p.settle();
  p.all_healthy(larger);
  CHECK(p.wakefulness() == Sleep::awake);
  CHECK(p.backends().size() == 2);
}

TEST_CASE("an application that is stopped or deleted while it sleeps holds nobody") {
  Sleepy p;
  p.falls_asleep();
  SECTION("stopped") {
    const auto stop = p.push("app", Action::undeploy).uuid;
    p.settle();
    CHECK(p.state(stop) == DeploymentState::ok);
    CHECK(p.app().state == "SHOULD_BE_DOWN");
    CHECK(p.wakefulness() == Sleep::awake);
    CHECK_FALSE(p.routes_say_asleep());
    p.a_request_comes();
    CHECK(p.vms(p.deployment).empty());
  }
  SECTION("deleted") {
    p.app().deleted = true;
    p.settle();
    CHECK(p.world.routes.empty());
    CHECK(p.app().torn_down);
  }
}

TEST_CASE("an owner who takes the permission back wakes the application") {
  Sleepy p;
  p.falls_asleep();
  p.app().sleep_after = 0s;
  p.settle();
  CHECK(p.wakefulness() == Sleep::waking);
  CHECK(p.vms(p.deployment).size() == 1);
}

TEST_CASE("visitors of an application that does not wake up are told so after a while") {
  Sleepy p;
  p.falls_asleep();
  p.a_request_comes();
  p.exits(p.vm(p.deployment));
  p.pass(p.world.policy.waking_timeout);
  CHECK(p.routes_say_asleep());
  p.pass(1ms);
  CHECK_FALSE(p.routes_say_asleep());
  CHECK(p.backends().empty());
  CHECK(p.told("does not wake up"));
  // It is healed as any other.
  p.pass(1min);
  p.healthy(p.vm(p.deployment));
  CHECK(p.backends().size() == 1);
}

TEST_CASE("an instance that ends by itself while it goes to sleep is let go without another") {
  Sleepy p;
  p.pass(10min);
  p.exits(*p.vms(p.deployment).at(0));
  CHECK(p.wakefulness() == Sleep::asleep);
  p.agents_clean_up();
  p.pass(1min);
  CHECK(p.vms(p.deployment).empty());
}

TEST_CASE("nobody sleeps whose host is silent: what ran there may not be there to come back to") {
  Sleepy p;
  p.pass(10min - 16s);
  for (const auto& [id, host] : p.world.hosts) p.silent.insert(id);
  p.pass(16s);
  CHECK(p.wakefulness() == Sleep::awake);
  p.silent.clear();
  p.pass(1s);
  CHECK(p.wakefulness() == Sleep::asleep);
}

TEST_CASE("what is not told yet may have been a request") {
  Sleepy p;
  p.pass(10min - 5s);
  p.mute.insert("proxy-1");
  p.pass(5s);
  CHECK(p.wakefulness() == Sleep::awake);
  p.mute.clear();
  p.app().last_request = p.now - 3s;
  p.pass(1ms);
  CHECK(p.wakefulness() == Sleep::awake);
  p.pass(10min - 3s);
  CHECK(p.wakefulness() == Sleep::asleep);
}

TEST_CASE("a scheduler that was deaf lets nobody sleep before all proxies had time to be heard") {
  Sleepy p;
  p.pass(10min - 1ms);
  p.world.hearing_since = p.now;
  p.pass(29s);
  CHECK(p.wakefulness() == Sleep::awake);
  p.pass(1s);
  CHECK(p.wakefulness() == Sleep::asleep);
}
