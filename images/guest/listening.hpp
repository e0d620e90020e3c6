#pragma once
/// Does something listen on a port, and for whom? Read from /proc/net/tcp, so that the app sees no
/// connection of ours.

#include <string_view>

namespace karreg::guest {

enum class Listening {
  nobody,
  loopback_only,  ///< bound to 127.0.0.0/8 or ::1: unreachable from outside the VM
  reachable,
};

/// @p tcp and @p tcp6 are the contents of /proc/net/tcp and /proc/net/tcp6 (format:
/// Documentation/networking/proc_net_tcp.rst).
Listening listening_on(int port, std::string_view tcp, std::string_view tcp6);

}  // namespace karreg::guest
