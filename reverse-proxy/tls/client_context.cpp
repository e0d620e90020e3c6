#include "reverse-proxy/tls/client_context.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include <stdexcept>

namespace karreg::proxy::tls {

namespace {

/// Each certificate of @p pem becomes one that is trusted, be it an authority's or the instance's
/// own.
void trust(SSL_CTX* context, const std::string& pem) {
  const Handle<BIO, BIO_free_all> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  auto* store = SSL_CTX_get_cert_store(context);
  int found = 0;
  while (in) {
    const Handle<X509, X509_free> one(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
    if (!one || X509_STORE_add_cert(store, one.get()) != 1) break;
    ++found;
  }
  // The end of the text is an error, too.
  ERR_clear_error();
  if (found == 0) throw std::runtime_error("the ca of the application's instances is no PEM");
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
}

}  // namespace

ClientContext::ClientContext(const Wish& wish)
    : context_(SSL_CTX_new(TLS_client_method())), check_name_(wish.check_name) {
  auto* context = context_.get();
  if (context == nullptr) throw std::runtime_error("OpenSSL makes no context");
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  // Connections are kept: what could be resumed would be of little use.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  static constexpr std::string_view h2 = "\x02h2";
  static constexpr std::string_view http1 = "\x08http/1.1";
  const auto protocols = wish.http2 ? h2 : http1;
  const bool set =
      SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
      SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(protocols.data()),
                              static_cast<unsigned int>(protocols.size())) == 0;
  if (!set) throw std::runtime_error("OpenSSL does not take our TLS settings");
  if (!wish.ca.empty()) trust(context, wish.ca);
}

}  // namespace karreg::proxy::tls
