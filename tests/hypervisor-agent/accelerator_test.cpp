#include "hypervisor-agent/accelerator.hpp"

#include <catch2/catch.hpp>

using namespace karreg::agent;

namespace {
Measurements measured(std::int64_t loop_us, std::int64_t tcg_ms, std::int64_t kvm_ms) {
  return {"", loop_us, tcg_ms, kvm_ms};
}
}  // namespace

TEST_CASE("the faster accelerator wins, with the figures", "[agent]") {
  const auto kvm = decide_accelerator(measured(60, 1300, 400));
  REQUIRE(kvm);
  CHECK(kvm->kvm);
  CHECK(kvm->detail == "tcg boots in 1300 ms; kvm boots in 400 ms");
  const auto tcg = decide_accelerator(measured(60, 1300, 1301));
  REQUIRE(tcg);
  CHECK_FALSE(tcg->kvm);
}

TEST_CASE("a KVM that interprets is found by its loop and not booted", "[agent]") {
  const auto m = measured(28'700, 1300, -1);
  CHECK_FALSE(kvm_worth_booting(m));
  const auto verdict = decide_accelerator(m);
  REQUIRE(verdict);
  CHECK_FALSE(verdict->kvm);
  CHECK(verdict->detail ==
        "tcg boots in 1300 ms; no kvm: a bare virtual processor needs 28.7 ms for a loop that "
        "hardware does in less than 5 ms");
  CHECK(kvm_worth_booting(measured(usable_kvm_loop_us, -1, -1)));
  CHECK_FALSE(kvm_worth_booting(measured(usable_kvm_loop_us + 1, -1, -1)));
}

TEST_CASE("a KVM that refuses or hangs leaves emulation", "[agent]") {
  Measurements refused{"/dev/kvm: Permission denied", -1, 1300, -1};
  REQUIRE(decide_accelerator(refused));
  CHECK(decide_accelerator(refused)->detail ==
        "tcg boots in 1300 ms; no kvm: /dev/kvm: Permission denied");
  const auto hung = decide_accelerator(measured(-1, 1300, -1));
  REQUIRE(hung);
  CHECK_FALSE(hung->kvm);
  const auto no_boot = decide_accelerator(measured(60, 1300, -1));
  REQUIRE(no_boot);
  CHECK_FALSE(no_boot->kvm);
  CHECK(no_boot->detail == "tcg boots in 1300 ms; kvm did not boot in time");
}

TEST_CASE("KVM alone will do, nothing at all will not", "[agent]") {
  const auto kvm = decide_accelerator(measured(60, -1, 400));
  REQUIRE(kvm);
  CHECK(kvm->kvm);
  CHECK_FALSE(decide_accelerator(measured(28'700, -1, -1)));
}
