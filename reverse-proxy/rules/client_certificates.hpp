#pragma once
/// Whether a request may pass that must come over a connection whose visitor was asked for a
/// certificate by the application's authorities. Pure.

#include <optional>

#include "reverse-proxy/rules/verdict.hpp"
#include "reverse-proxy/tls/client_trust.hpp"

namespace karreg::proxy::rules {

/// The connection that a request came by.
struct CameBy {
  bool tls = false;
  /// Who is at its other end; nullptr: he was not asked for a certificate.
  const tls::ClientIdentity* identity = nullptr;
  /// Its handshake was for the host of the request.
  bool for_this_host = false;
};

/// The handshake may have been for another host (RFC 9113 §9.1.1), or before the rule was what it
/// is: then a new connection is what the visitor needs (421, RFC 9110 §15.5.20).
std::optional<Verdict> client_certificate(const tls::ClientTrust& trust, bool required,
                                          const CameBy& by,
                                          std::chrono::system_clock::time_point now);

}  // namespace karreg::proxy::rules
