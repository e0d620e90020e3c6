// Ports of TCP services lead where host names do.
#include "a_platform.hpp"

using namespace karreg::scheduler;
using namespace karreg::scheduler::test;

namespace {
std::vector<std::string> addresses(const APlatform& p, std::uint16_t port = 4000) {
  std::vector<std::string> all;
  for (const auto& backend : p.world.tcp_routes.at(port).backends) all.push_back(backend.address);
  return all;
}
}  // namespace

TEST_CASE("a port leads to port 4040 of the instances in service") {
  APlatform p;
  const std::string blue = p.deploy();
  CHECK(p.world.tcp_routes.empty());
  const auto before = p.world.route_version;
  p.app().tcp_ports = {4000, 4001};
  p.settle();
  CHECK(p.world.route_version == before + 1);
  REQUIRE(p.world.tcp_routes.size() == 2);
  const auto& route = p.world.tcp_routes.at(4001);
  CHECK(route.port == 4001);
  CHECK(route.app_id == "app");
  const auto& vm = p.vm(blue);
  CHECK(addresses(p) ==
        std::vector{vm.address.substr(0, vm.address.find(':')) + std::string(":4040")});
  p.settle();
  CHECK(p.world.route_version == before + 1);
  p.app().tcp_ports = {4001};
  p.settle();
  CHECK(p.world.route_version == before + 2);
  CHECK_FALSE(p.world.tcp_routes.contains(4000));
}

TEST_CASE("a switch moves hosts and ports in one version") {
  APlatform p;
  p.app().tcp_ports = {4000};
  p.deploy();
  const auto before = p.world.route_version;
  const auto blue = addresses(p);
  const std::string green = p.push().uuid;
  p.settle();
  p.built(green);
  CHECK(p.world.route_version == before);
  CHECK(addresses(p) == blue);
  p.all_healthy(green);
  CHECK(p.world.route_version == before + 1);
  CHECK(p.served_by() == std::set{green});
  CHECK(addresses(p) != blue);
  CHECK(p.world.tcp_routes.at(4000).backends.front().instance_id == *p.backends().begin());
}

TEST_CASE("a port of a stopped application leads nowhere, and is kept") {
  APlatform p;
  p.app().tcp_ports = {4000};
  p.deploy();
  p.push("app", Action::undeploy);
  p.settle();
  REQUIRE(p.world.tcp_routes.contains(4000));
  CHECK(addresses(p).empty());
}

TEST_CASE("an old instance is not stopped while a TCP connection is in hand there") {
  APlatform p;
  p.app().tcp_ports = {4000};
  const std::string blue = p.deploy();
  const auto old = p.vm(blue).id;
  const std::string green = p.push().uuid;
  p.settle();
  p.built(green);
  p.all_healthy(green);
  p.proxies_acknowledge({{old, 1}});
  CHECK(p.instance(old).wanted);
  // Until the time to drain is over.
  p.pass(p.world.policy.drain_timeout + 1s);
  CHECK_FALSE(p.instance(old).wanted);
}
