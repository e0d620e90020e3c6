#pragma once
/// A network without a way out but one: a network namespace (network_namespaces(7)) in which a
/// program runs, and a listener of ours on its loopback.

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/error.hpp"

namespace karreg::agent::egress {

/// Where the proxy listens: 127.0.0.1 of the room, which passt shows to its guest as the gateway.
inline constexpr int proxy_port = 3128;

struct Room {
  pid_t program = 0;
  int listener = -1;  ///< a listening TCP socket, of the room
};

/// Makes a room and starts @p argv in it, with our standard streams. As root, or as anybody who may
/// make user namespaces. Error `unavailable`: which step failed.
Result<Room> enter_room(const std::vector<std::string>& argv);

}  // namespace karreg::agent::egress
