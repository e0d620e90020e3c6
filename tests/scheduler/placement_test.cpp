// Which host gets an instance.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;

TEST_CASE("instances spread over the hosts with the most free memory") {
  APlatform p;
  p.host("host-1", 2048);
  p.host("host-2", 2048);
  p.host("host-3", 1024);
  const std::string d = p.deploy("app", 4);
  std::map<std::string, int> count;
  for (auto* vm : p.vms(d)) ++count[vm->host_id];
  CHECK(count == std::map<std::string, int>{{"host-1", 2}, {"host-2", 2}});
}

TEST_CASE("a silent host gets nothing new") {
  APlatform p;
  p.host("host-2", 1024);
  p.silent = {"host-1"};
  p.pass(16s);
  const std::string d = p.deploy();
  CHECK(p.vm(d).host_id == "host-2");
}

TEST_CASE("a VM that is being stopped holds its memory until it is gone") {
  APlatform p;
  p.host("host-1", 400);
  const std::string blue = p.deploy("a");
  p.push("a", Action::undeploy);
  p.settle();
  p.proxies_acknowledge();
  REQUIRE(p.vms(blue).empty());
  const std::string d = p.push("b").uuid;
  p.settle();
  p.built(d);
  CHECK(p.vms(d).empty());
  p.agents_clean_up();
  CHECK(p.vms(d).size() == 1);
}

TEST_CASE("a host's memory is never promised twice, whoever asks at the same time") {
  APlatform p;
  p.host("host-1", 3L * 256);
  for (const char* app : {"a", "b", "c", "d", "e"}) p.push(app);
  p.settle();
  for (const char* app : {"a", "b", "c", "d", "e"}) p.built(std::string(app) + "-1");
  int placed = 0;
  for (const auto& [id, instance] : p.world.instances)
    if (!instance.host_id.empty()) ++placed;
  CHECK(placed == 3);
}

TEST_CASE("an instance of an unknown size takes no memory and breaks nothing") {
  APlatform p;
  auto& d = p.push();
  d.flavor = "gigantic";
  const std::string uuid = d.uuid;  // a round replaces the world, and with it what d refers to
  p.settle();
  p.built(uuid);
  CHECK(p.vms("app-1").size() == 1);
}

TEST_CASE("builds go to hosts that share the data folder, instances to any") {
  APlatform p;
  p.host("host-1", 4096);
  p.host("host-2", 65536);
  p.world.hosts.at("host-2").builds = false;
  const std::string d = p.push().uuid;
  p.settle();
  p.prepared(d);
  CHECK(p.build_vm(d).host_id == "host-1");
  CHECK(p.vm(p.deploy("other")).host_id == "host-2");
}

TEST_CASE("a build waits for a host that shares the data folder, and says so") {
  APlatform p;
  p.world.hosts.at("host-1").builds = false;
  const std::string d = p.push().uuid;
  p.settle();
  p.prepared(d);
  CHECK(p.message(d) ==
        "waiting for room to build: no host that shares the data folder is up, and builds need it");
}
