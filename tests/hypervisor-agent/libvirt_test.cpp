// The wrapper over libvirt's own test driver: real libvirt semantics, no hypervisor.
#include "hypervisor-agent/libvirt.hpp"

#include <algorithm>

#include "support.hpp"

using namespace karreg;
using namespace karreg::agent;
using Catch::Matchers::Contains;

namespace {
std::unique_ptr<Hypervisor> connect() {
  auto hypervisor = Hypervisor::connect("test:///default", "nobody");
  REQUIRE(hypervisor);
  return std::move(*hypervisor);
}

std::string domain(const std::string& name) {
  return "<domain type='test'><name>" + name +
         "</name><memory>8192</memory><os><type>hvm</type></os></domain>";
}

bool lists(Hypervisor& hypervisor, const std::string& name) {
  auto running = hypervisor.running();
  REQUIRE(running);
  return std::ranges::find(*running, name) != running->end();
}
}  // namespace

TEST_CASE("a domain starts, is listed, and ends", "[agent]") {
  auto hypervisor = connect();
  CHECK_FALSE(lists(*hypervisor, "karreg-a"));
  REQUIRE(hypervisor->start(domain("karreg-a")));
  CHECK(lists(*hypervisor, "karreg-a"));
  CHECK(*hypervisor->is_running("karreg-a"));
  REQUIRE(hypervisor->destroy("karreg-a"));
  CHECK_FALSE(lists(*hypervisor, "karreg-a"));
  CHECK_FALSE(*hypervisor->is_running("karreg-a"));
}

TEST_CASE("ending an absent domain is done", "[agent]") {
  auto hypervisor = connect();
  CHECK(hypervisor->destroy("karreg-nobody"));
}

TEST_CASE("what libvirt refuses is said in its words", "[agent]") {
  auto hypervisor = connect();
  const auto refused = hypervisor->start("<domain type='test'/>");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message() == "starting the VM: missing name information");
  REQUIRE(hypervisor->start(domain("karreg-twice")));
  CHECK_FALSE(hypervisor->start(domain("karreg-twice")));
  REQUIRE(hypervisor->destroy("karreg-twice"));
  const auto nowhere = Hypervisor::connect("qemu+unix:///system?socket=/nonexistent", "nobody");
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().kind() == ErrorKind::unavailable);
  CHECK_THAT(nowhere.error().message(), Contains("/nonexistent"));
}
