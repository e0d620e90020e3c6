#pragma once
/// Which accelerator VMs use: decided from measurements, never from the existence of /dev/kvm.
/// Pure.
///
/// Nested hosts may have a /dev/kvm that refuses, or one that interprets a guest kernel instruction
/// by instruction and is far slower than software emulation. So: a bare virtual processor runs a
/// short loop (a millisecond's part on hardware); if that is quick, our own kernel is booted under
/// KVM as it is under emulation (TCG), and the faster one wins.

#include <cstdint>
#include <optional>
#include <string>

#include "common/json.hpp"

namespace karreg::agent {

/// The figures. -1: not measured, or did not come to an end within its limit.
struct Measurements {
  std::string kvm_refusal;        ///< why KVM cannot be used at all; empty: it can
  std::int64_t kvm_loop_us = -1;  ///< a bare virtual processor's loop
  std::int64_t tcg_boot_ms = -1;  ///< start of QEMU to the first word of karreg-init
  std::int64_t kvm_boot_ms = -1;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Measurements, kvm_refusal, kvm_loop_us, tcg_boot_ms,
                                              kvm_boot_ms)
};

struct Verdict {
  bool kvm = false;
  std::string detail;  ///< the figures, for people
};

/// The loop of kvm_loop() takes some 0.05 ms on hardware, 30 ms where it is interpreted.
inline constexpr std::int64_t usable_kvm_loop_us = 5'000;

/// Whether a boot under KVM is worth trying.
bool kvm_worth_booting(const Measurements& measured);
/// Nothing when no VM boots at all.
std::optional<Verdict> decide_accelerator(const Measurements& measured);

}  // namespace karreg::agent
