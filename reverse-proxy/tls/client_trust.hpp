#pragma once
/// Certificates of visitors (RFC 8446 §4.3.2, RFC 5246 §7.4.4): who is asked for one, by which
/// authorities it is checked, and what is known of him then.
///
/// A ticket holds the certificate of the session, so that who comes back need not show it again
/// (RFC 8446 §4.6.1). It is of use only where the same application asks by the same authorities in
/// the same way, and until the first certificate of the chain has ended.

#include <openssl/ssl.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "common/crypto/certificate.hpp"
#include "common/handle.hpp"
#include "common/wire/rules.hpp"

namespace karreg::proxy::tls {

/// The authorities of one application. Immutable; workers share it.
class ClientTrust {
 public:
  /// What cannot be read of @p ca (PEM) is left out: wire::read_rules() lets none by, and without
  /// an authority every certificate is refused.
  ClientTrust(const std::string& app_id, const std::string& ca);
  ClientTrust(const ClientTrust&) = delete;
  ClientTrust& operator=(const ClientTrust&) = delete;
  ~ClientTrust();

  /// Both are of the same application, and have the same authorities.
  bool operator==(const ClientTrust& other) const { return digest_ == other.digest_; }
  const std::string& app_id() const { return app_id_; }

 private:
  friend struct ClientCheck;
  const std::string app_id_;
  std::array<unsigned char, 32> digest_{};  ///< of the application and its authorities
  Handle<X509_STORE, X509_STORE_free> store_;
  STACK_OF(X509_NAME) * names_;  ///< of the authorities, told to visitors
};

/// What a handshake asks of the visitor.
struct ClientCheck {
  std::shared_ptr<const ClientTrust> trust = nullptr;  ///< nullptr: he is asked for nothing
  bool required = false;  ///< without a certificate the connection does not come to stand

  /// Has @p ssl ask for it. Before a session is resumed: when the hello has come. False: there is
  /// no memory for it.
  bool ask(SSL* ssl) const;
};

/// @p ssl asks for nothing. As ClientCheck::ask().
bool ask_nothing(SSL* ssl);

/// What a connection knows of who is at its other end, who was asked for a certificate.
struct ClientIdentity {
  std::shared_ptr<const ClientTrust> trust;  ///< by which it was checked
  std::string field;               ///< value of Client-Cert (RFC 9440 §2.2); empty: he has none
  crypto::Seconds not_after = {};  ///< the first of his and of those above it that ends
};
/// Of @p ssl, whose handshake is done and has asked by @p trust.
ClientIdentity identity_of(SSL* ssl, std::shared_ptr<const ClientTrust> trust);
/// Why the handshake of @p ssl, which has asked, came to nothing; empty: for another reason. Before
/// OpenSSL's errors are forgotten.
std::string client_refusal(const SSL* ssl);

/// Tickets of @p context end with the certificate that they hold.
bool end_tickets_with_certificates(SSL_CTX* context);

}  // namespace karreg::proxy::tls
