#pragma once
/// What certificate authorities ask this proxy for, to see that a name is ours. Immutable once
/// made: workers share it.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire/certificates.hpp"
#include "reverse-proxy/tls/certificate.hpp"

namespace karreg::proxy::tls {

/// The protocol of RFC 8737 §4, as ALPN names it.
inline constexpr std::string_view acme_protocol = "acme-tls/1";

class Challenges {
 public:
  Challenges() = default;
  /// One of a kind that is not known, or for what is no host, is left out, and why is added to
  /// @p left_out.
  Challenges(const std::vector<wire::AcmeChallenge>& all, std::vector<std::string>& left_out);

  /// RFC 8555 §8.3: what is answered at @p path of @p host; nullptr: it is no challenge of ours.
  /// @p host in lower case.
  const std::string* http_answer(std::string_view host, std::string_view path) const;
  /// RFC 8737 §3: the certificate that is shown for @p host, in any case; nullptr: there is none.
  const Certificate* tls_answer(std::string_view host) const;
  bool empty() const { return http_.empty() && tls_.empty(); }
  bool has_tls() const { return !tls_.empty(); }

 private:
  std::map<std::string, std::string, std::less<>> http_;  ///< by host and path
  std::map<std::string, std::shared_ptr<const Certificate>, std::less<>> tls_;
};

}  // namespace karreg::proxy::tls
