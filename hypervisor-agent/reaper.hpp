#pragma once

namespace karreg::agent {

/// Makes this process the parent of the QEMU and passt processes that it starts and that go to the
/// background, and takes note of their ends at once, from a thread that lives as long as the
/// program. libvirt waits until a QEMU that ended is gone from the process table; the init of a
/// container may take seconds for that, or never do it.
void start_reaper();

}  // namespace karreg::agent
