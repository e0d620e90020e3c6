#pragma once
/// The way out of a build VM: an HTTP proxy (RFC 9110 §9.3.6 CONNECT, RFC 9112 §3.2.2
/// absolute-form) that asks a policy. What it carries it does not look into.

#include <functional>
#include <string>

#include "common/async/asio.hpp"
#include "hypervisor-agent/egress/policy.hpp"

namespace karreg::agent::egress {

struct ProxyOptions {
  Policy policy;
  /// Addresses that are not public may be reached, too: a mirror in the operator's own network.
  bool private_addresses = false;
  /// At a time; others wait to be accepted. A build opens some dozens.
  int connections = 256;
};

/// Serves what comes to @p listener until it is closed or its executor ends. Bounded: 16 KiB a
/// head, 30 s for it and for connecting, 5 min of silence.
awaitable<void> serve(asio::ip::tcp::acceptor& listener, const ProxyOptions& options);

}  // namespace karreg::agent::egress
