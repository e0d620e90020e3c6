#pragma once

#include "hypervisor-agent/libvirt.hpp"
#include "hypervisor-agent/settings.hpp"

namespace karreg::agent {

/// Ends every VM of this agent and removes what they left. The agent must not be running (its
/// libvirt root is locked then).
Result<int> purge(const Settings& settings, Hypervisor& hypervisor);

}  // namespace karreg::agent
