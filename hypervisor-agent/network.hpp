#pragma once
/// The network of a VM: passt, one process per VM, unprivileged. The guest reaches out; in comes
/// only what is sent to the instance's own loopback address.

#include <map>
#include <string>
#include <vector>

#include "common/async/asio.hpp"
#include "common/error.hpp"
#include "common/wire/guest.hpp"
#include "hypervisor-agent/files.hpp"

namespace karreg::agent {

/// What the guest configures. Who is @p confined has nobody to ask for names: the proxy does that.
wire::guest::Network guest_network(bool confined = false);

/// Whether a VM of this @p kind reaches the outside by the proxy alone: builds do. What runs an
/// app's code, jobs too, needs databases and services wherever they are.
bool is_confined(const Settings& settings, const std::string& kind);

/// What programs in a confined build VM are told about the proxy, and of certificates that they are
/// to trust. The app's own environment wins.
std::map<std::string, std::string> confined_environment();

/// Where a run VM is reached from outside, whose app listens on @p port: there, and where services
/// by TCP and UDP do.
std::vector<int> inbound_ports(int port);

/// An address <prefix>.x.y on which all @p ports are free now. Chosen at random: several agents may
/// share the machine.
Result<std::string> free_address(const std::string& prefix, const std::vector<int>& ports);

/// Starts passt for a VM: its socket is files.network(), and @p ports of @p address lead to those
/// of the guest, and datagrams to where services listen (nothing comes in when @p address is
/// empty). It goes on when the agent dies, and ends with QEMU. Error `conflict` when the address
/// was taken meanwhile, `unavailable` with what passt says otherwise. @p confined: in a network of
/// its own, from which karreg-egress is the way out.
awaitable<Result<void>> start_passt(const Settings& settings, const VmFiles& files,
                                    const std::string& address, const std::vector<int>& ports,
                                    bool confined);
/// Ends the passt of a VM, if it still runs.
void stop_passt(const VmFiles& files);

}  // namespace karreg::agent
