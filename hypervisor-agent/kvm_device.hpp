#pragma once

#include "common/error.hpp"
#include "hypervisor-agent/settings.hpp"

namespace karreg::agent {

/// Makes /dev/kvm, as this process and its children see it, agree with the verdict: usable by
/// QEMU's user, or not there. libvirt probes QEMU with root's rights on files but asks whether
/// QEMU's user may open the device; where the answers differ it distrusts what it has learnt and
/// probes again, for seconds, many times for each VM. Nothing of the machine changes: it happens in
/// a mount name space of this process. Call it before any thread is started; does nothing for a
/// process that is not root. Error `unavailable` when the name space is refused.
Result<void> settle_kvm_device(const Settings& settings, bool kvm);

}  // namespace karreg::agent
