#include "hypervisor-agent/accelerator.hpp"

#include <fmt/format.h>

namespace karreg::agent {

namespace {
std::string boots(const char* name, std::int64_t ms) {
  return ms < 0 ? fmt::format("{} did not boot in time", name)
                : fmt::format("{} boots in {} ms", name, ms);
}

std::string kvm_text(const Measurements& m) {
  if (!m.kvm_refusal.empty()) return "no kvm: " + m.kvm_refusal;
  if (m.kvm_loop_us < 0)
    return "no kvm: a bare virtual processor does not get through a short loop";
  if (!kvm_worth_booting(m))
    return fmt::format(
        "no kvm: a bare virtual processor needs {:.1f} ms for a loop that hardware does in less "
        "than "
        "{} ms",
        static_cast<double>(m.kvm_loop_us) / 1000, usable_kvm_loop_us / 1000);
  return boots("kvm", m.kvm_boot_ms);
}
}  // namespace

bool kvm_worth_booting(const Measurements& m) {
  return m.kvm_refusal.empty() && m.kvm_loop_us >= 0 && m.kvm_loop_us <= usable_kvm_loop_us;
}

std::optional<Verdict> decide_accelerator(const Measurements& m) {
  const bool kvm = kvm_worth_booting(m) && m.kvm_boot_ms >= 0 &&
                   (m.tcg_boot_ms < 0 || m.kvm_boot_ms <= m.tcg_boot_ms);
  if (!kvm && m.tcg_boot_ms < 0) return std::nullopt;
  return Verdict{kvm, boots("tcg", m.tcg_boot_ms) + "; " + kvm_text(m)};
}

}  // namespace karreg::agent
