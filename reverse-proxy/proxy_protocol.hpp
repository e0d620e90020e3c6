#pragma once
/// What is said of a connection before its first byte: by a balancer before us, and by us to
/// instances that want to hear it. The PROXY protocol of HAProxy, versions 1 and 2
/// (doc/proxy-protocol.txt of its source). Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace karreg::proxy {

/// Both ends of a connection, their addresses as the kernel writes them.
struct Ends {
  std::string from = {};
  std::uint16_t from_port = 0;
  std::string to = {};
  std::uint16_t to_port = 0;
  bool operator==(const Ends&) const = default;
};

struct ProxyHeader {
  std::size_t bytes = 0;  ///< of the header, at the front of what came
  std::string client;     ///< address of the visitor; empty: the balancer speaks for itself
  Ends ends;              ///< of his connection, with the same address; empty: it does not tell
};

/// Longest header: one of version 2 with the extensions that balancers are known to add.
inline constexpr std::size_t max_proxy_header = 536;

struct ProxyHeaderOr {
  std::optional<ProxyHeader> header;  ///< it is complete
  bool broken = false;                ///< it is none, and more bytes will not make it one
};

/// Reads the header at the front of @p came; neither field is set when bytes are missing. Strict: a
/// connection that is to begin with one and does not is not to be trusted.
ProxyHeaderOr read_proxy_header(std::string_view came);

/// What version 2 tells beside the ends.
struct ProxyExtras {
  std::string_view authority = {};  ///< the host that the visitor's TLS was for; empty: none
  std::string_view unique_id = {};  ///< of the request that follows; cut at 128 bytes
};
/// Appends the header of a connection that is made for a visitor whose own has @p ends. @p version:
/// 1 or 2. Ends of two families, or no addresses, are said to be unknown.
void append_proxy_header(std::string& out, int version, const Ends& ends,
                         const ProxyExtras& extras);

}  // namespace karreg::proxy
