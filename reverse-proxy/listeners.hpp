#pragma once
/// Sockets that listen. They are opened apart from what serves them, because they outlive it: the
/// master keeps them open while one serving process takes over from another, and what a visitor's
/// connection waits in is never closed.

#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/config.hpp"
#include "common/descriptor.hpp"

namespace karreg::proxy {

/// Connections that wait to be accepted, of each socket; the kernel lowers it to
/// net.core.somaxconn.
inline constexpr int listen_backlog = 4096;

/// Where connections come in.
struct Door {
  std::uint16_t port = 0;
  bool tls = false;
  bool tcp = false;  ///< of a TCP service: bytes pass through as they are
};

struct Listener {
  Door door;
  Descriptor socket;
};

/// @p count sockets at @p at, each with a queue of its own; port 0: any free one, the same for all.
/// @p shared: the kernel spreads connections over these and over others at the same address
/// (SO_REUSEPORT, socket(7)); else a second one there is an error. Error `unavailable`, naming @p
/// setting, when the address is taken.
Result<std::vector<Descriptor>> open_listeners(const Endpoint& at, int count, bool shared,
                                               std::string_view setting);

/// The same for datagrams.
Result<std::vector<Descriptor>> open_datagram_sockets(const Endpoint& at, int count, bool shared,
                                                      std::string_view setting);
bool is_for_datagrams(const Descriptor& socket);

/// The IP address of @p peer as text; one of IPv4 that came by IPv6 as one of IPv4.
std::string address_text(const sockaddr_storage& peer);

/// The port that @p socket listens at; 0: it does not.
std::uint16_t port_of(const Descriptor& socket);

}  // namespace karreg::proxy
