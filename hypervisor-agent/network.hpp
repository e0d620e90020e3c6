#pragma once
/// The network of a VM: passt, one process per VM, unprivileged. The guest reaches out; in comes
/// only what is sent to the instance's own loopback address.

#include <string>

#include "common/async/asio.hpp"
#include "common/error.hpp"
#include "common/wire/guest.hpp"
#include "hypervisor-agent/files.hpp"

namespace karreg::agent {

/// What the guest configures, the same in every VM.
wire::guest::Network guest_network();

/// An address <prefix>.x.y on which @p port is free now. Chosen at random: several agents may share
/// the machine.
Result<std::string> free_address(const std::string& prefix, int port);

/// Starts passt for a VM: its socket is files.network(), and @p address:@p port leads to the
/// guest's @p port (nothing comes in when @p address is empty). It goes on when the agent dies, and
/// ends with QEMU. Error `conflict` when the address was taken meanwhile, `unavailable` with what
/// passt says otherwise.
awaitable<Result<void>> start_passt(const Settings& settings, const VmFiles& files,
                                    const std::string& address, int port);
/// Ends the passt of a VM, if it still runs.
void stop_passt(const VmFiles& files);

}  // namespace karreg::agent
