#pragma once
/// What a balancer before us says of a connection before its first byte: the PROXY protocol of
/// HAProxy, versions 1 and 2. Pure.

#include <optional>
#include <string>
#include <string_view>

namespace karreg::proxy {

struct ProxyHeader {
  std::size_t bytes = 0;  ///< of the header, at the front of what came
  std::string client;     ///< address of the visitor; empty: the balancer speaks for itself
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

}  // namespace karreg::proxy
