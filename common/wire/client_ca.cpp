#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/handle.hpp"
#include "common/text.hpp"
#include "common/wire/rule_checks.hpp"

namespace karreg::wire {

namespace {
/// A text that is encrypted would be asked a pass phrase for, on the terminal.
int no_pass_phrase(char*, int, int, void*) {
  return 0;
}

// Whether they are still good is asked when a visitor comes: rules that could be read once must be
// readable on every day after.
Wrong check_certificates(std::string_view pem, bool of_authorities) {
  if (pem.size() > RuleBounds::ca_bytes || !text::is_utf8(pem) ||
      pem.find('\0') != std::string_view::npos)
    return "must be PEM of at most 16384 bytes";
  if (pem.find("PRIVATE KEY") != std::string_view::npos)
    return "must not have a private key: give the certificate alone, and take the key for known to "
           "others if it was sent";
  ERR_clear_error();
  const Handle<BIO, BIO_free_all> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::size_t count = 0;
  Wrong wrong;
  while (X509* next = PEM_read_bio_X509(in.get(), nullptr, no_pass_phrase, nullptr)) {
    const Handle<X509, X509_free> certificate(next);
    ++count;
    // 1: its basicConstraints say so (RFC 5280 §4.2.1.9).
    if (of_authorities && !wrong && X509_check_ca(certificate.get()) != 1)
      wrong =
          "must have certificates of authorities (basicConstraints with CA:TRUE), not those of "
          "visitors";
  }
  const auto last = ERR_peek_last_error();
  ERR_clear_error();
  // Without a next begin it is the end of the text.
  if (last != 0 && ERR_GET_REASON(last) != PEM_R_NO_START_LINE)
    return "must be PEM that can be read; a certificate in it cannot";
  if (count == 0) return "must be PEM: \"-----BEGIN CERTIFICATE-----\" and so on";
  if (count > RuleBounds::ca_certificates) return "must not have more than 10 certificates";
  return wrong;
}
}  // namespace

Wrong check_client_ca(std::string_view pem) {
  return check_certificates(pem, true);
}

Wrong check_instance_ca(std::string_view pem) {
  return check_certificates(pem, false);
}

}  // namespace karreg::wire
