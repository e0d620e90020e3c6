#pragma once
/// TLS 1.2 and 1.3 towards instances.

#include <openssl/ssl.h>

#include <string>

#include "common/handle.hpp"

namespace karreg::proxy::tls {

/// What the connections to one application's instances share. Immutable: of all threads.
class ClientContext {
 public:
  struct Wish {
    std::string ca;           ///< PEM; empty: whatever certificate is shown will do
    bool check_name = false;  ///< the certificate must be for the name that is asked for, too
    bool http2 = false;       ///< asked for by ALPN; else HTTP/1.1
  };
  /// Throws std::runtime_error when OpenSSL cannot do what we need, or @c ca has no certificate.
  explicit ClientContext(const Wish& wish);
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;

  SSL_CTX* get() const { return context_.get(); }
  bool checks_name() const { return check_name_; }

 private:
  Handle<SSL_CTX, SSL_CTX_free> context_;
  bool check_name_;
};

}  // namespace karreg::proxy::tls
