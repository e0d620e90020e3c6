#include "reverse-proxy/rules/client_certificates.hpp"

namespace karreg::proxy::rules {

namespace {

Verdict by_https_only() {
  return {
      {403, "By https only",
       "The application is open to those who show a certificate, and by http none can be shown. "
       "Come by https."},
      "rule: client_certificates: not by https"};
}

Verdict by_another_connection(bool of_no_use) {
  return {{421, "Another connection is needed",
           "The application is open to those who show a certificate, and over this connection none "
           "was asked for, or not for this application as it is now. Connect anew, to this host."},
          "rule: client_certificates: another connection",
          of_no_use};
}

Verdict no_certificate() {
  return {{403, "A certificate is needed",
           "The application is open to those who show a certificate of its owner's, and none was "
           "shown. Give your client the certificate and its key, and connect anew."},
          "rule: client_certificates"};
}

}  // namespace

std::optional<Verdict> client_certificate(const tls::ClientTrust& trust, bool required,
                                          const CameBy& by,
                                          std::chrono::system_clock::time_point now) {
  if (!by.tls) return by_https_only();
  if (by.identity == nullptr || *by.identity->trust != trust)
    return by_another_connection(by.for_this_host);
  if (by.identity->field.empty()) return required ? std::optional(no_certificate()) : std::nullopt;
  if (by.identity->not_after <= now) return by_another_connection(true);
  return std::nullopt;
}

}  // namespace karreg::proxy::rules
