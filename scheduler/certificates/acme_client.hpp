#pragma once
/// Orders certificates at an ACME server (RFC 8555), through certbot's library: acme_order.py,
/// which is compiled in, run by Debian's Python as a child process.

#include "common/async/child.hpp"
#include "common/wire/certificates.hpp"

namespace karreg::scheduler::certificates {

/// The certificate authority.
struct AcmeServer {
  std::string directory;     ///< URL
  std::string ca_file;       ///< PEM, by which its own certificate is believed; empty: the system's
  std::string email;         ///< contact of the account; may be empty
  std::string eab_key_id;    ///< external account binding (§7.3.4); empty: it needs none
  std::string eab_hmac_key;  ///< base64url
  std::chrono::milliseconds patience{std::chrono::minutes(5)};  ///< for one order
};

struct AcmeOrder {
  std::string account_key;  ///< PEM, P-256
  std::string request;      ///< certificate request, PEM
  std::string challenge;    ///< kind: "http-01", "tls-alpn-01" or "dns-01"
};

/// What @p server issues for @p order: a chain, PEM. @p prepare lets the challenges be answered and
/// returns when they are. Blocks; runs in @p child. Error `unavailable` in words for the owner of
/// the names.
Result<std::string> obtain(
    Child& child, const AcmeServer& server, const AcmeOrder& order,
    const std::function<Result<void>(const std::vector<wire::AcmeChallenge>&)>& prepare);

}  // namespace karreg::scheduler::certificates
