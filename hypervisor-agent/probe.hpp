#pragma once
/// Measures accelerators: see accelerator.hpp for what follows from the figures.

#include <string>

#include "common/async/asio.hpp"
#include "common/error.hpp"
#include "common/wire/catalogue.hpp"
#include "hypervisor-agent/accelerator.hpp"
#include "hypervisor-agent/settings.hpp"

namespace karreg::agent {

/// The verdict remembered in <state>/accelerator.json for this kernel, processor and QEMU, or a
/// fresh probe (some seconds) that is then remembered. A setting other than `auto` is obeyed
/// without a probe. @p program is this executable: it is called with `kvm-loop`. Error
/// `unavailable` when nothing boots.
awaitable<Result<Verdict>> choose_accelerator(Settings settings, wire::Catalogue catalogue,
                                              std::string program);
/// Whether VMs run under KVM, as far as the last verdict on disk says.
bool remembered_verdict(const Settings& settings);
/// A fresh probe.
awaitable<Result<Measurements>> measure_accelerators(Settings settings, wire::Catalogue catalogue,
                                                     std::string program);

}  // namespace karreg::agent
