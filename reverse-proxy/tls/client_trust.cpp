#include "reverse-proxy/tls/client_trust.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "common/crypto/digest.hpp"
#include "common/log.hpp"

namespace karreg::proxy::tls {

namespace {

/// Between an authority of the application's and the visitor's own certificate.
constexpr int most_intermediates = 4;
/// Of what a visitor shows: his certificate and those, RSA keys and many names allowed for.
constexpr long most_chain_bytes = 32L * 1024;
/// Of sessions without a certificate.
constexpr std::string_view plain_session = "karreg-proxy";

bool set_session_context(SSL* ssl, const void* bytes, std::size_t size) {
  return SSL_set_session_id_context(ssl, static_cast<const unsigned char*>(bytes),
                                    static_cast<unsigned int>(size)) == 1;
}

/// Until when all that were needed are good; the far end of time: none was shown.
crypto::Seconds first_end(SSL* ssl) {
  auto end = crypto::Seconds::max();
  const auto* chain = SSL_get0_verified_chain(ssl);
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i)
    end = std::min(end, crypto::not_after(*sk_X509_value(chain, i)));
  return end;
}

using TicketTime = std::int64_t;

/// What remember_end() has put into the ticket of @p session.
std::optional<crypto::Seconds> remembered_end(SSL_SESSION* session) {
  void* data = nullptr;
  std::size_t size = 0;
  TicketTime seconds = 0;
  if (SSL_SESSION_get0_ticket_appdata(session, &data, &size) != 1 || size != sizeof seconds)
    return std::nullopt;
  std::memcpy(&seconds, data, sizeof seconds);
  return crypto::Seconds(std::chrono::seconds(seconds));
}

int remember_end(SSL* ssl, void*) {
  // A session that was resumed has it from the ticket.
  if (SSL_get0_verified_chain(ssl) == nullptr) return 1;
  const TicketTime seconds = first_end(ssl).time_since_epoch().count();
  return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &seconds, sizeof seconds);
}

SSL_TICKET_RETURN look_at_ticket(SSL*, SSL_SESSION* session, const unsigned char*, std::size_t,
                                 SSL_TICKET_STATUS status, void*) {
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  const auto end = remembered_end(session);
  if (end && *end <= std::chrono::system_clock::now()) return SSL_TICKET_RETURN_IGNORE_RENEW;
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

}  // namespace

ClientTrust::ClientTrust(const std::string& app_id, const std::string& ca)
    : app_id_(app_id), store_(X509_STORE_new()), names_(sk_X509_NAME_new_null()) {
  // A NUL is in neither: no two pairs look the same.
  const auto text = app_id + '\0' + ca;
  const bool made =
      store_ && names_ != nullptr &&
      EVP_Digest(text.data(), text.size(), digest_.data(), nullptr, EVP_sha256(), nullptr) == 1 &&
      // An authority between the root and the visitors may be given alone.
      X509_STORE_set_flags(store_.get(), X509_V_FLAG_PARTIAL_CHAIN) == 1;
  if (!made) throw std::bad_alloc();
  const auto authorities = crypto::read_certificates(ca);
  if (!authorities) {
    log::error("no client certificate is taken",
               {log::field("app", app_id), log::field("why", authorities.error().message())});
    return;
  }
  for (const auto& authority : *authorities) {
    auto* name = X509_NAME_dup(X509_get_subject_name(authority.get()));
    if (X509_STORE_add_cert(store_.get(), authority.get()) != 1 || name == nullptr ||
        sk_X509_NAME_push(names_, name) <= 0)
      throw std::bad_alloc();
  }
}

ClientTrust::~ClientTrust() {
  sk_X509_NAME_pop_free(names_, X509_NAME_free);
}

bool ClientCheck::ask(SSL* ssl) const {
  // Who was asked in another way is asked anew.
  auto session = trust->digest_;
  session.back() = required ? 1 : 0;
  SSL_set_verify(ssl, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  SSL_set_verify_depth(ssl, most_intermediates);
  SSL_set_max_cert_list(ssl, most_chain_bytes);
  SSL_set0_CA_list(ssl, SSL_dup_CA_list(trust->names_));
  return set_session_context(ssl, session.data(), session.size()) &&
         SSL_set1_verify_cert_store(ssl, trust->store_.get()) == 1;
}

bool ask_nothing(SSL* ssl) {
  SSL_set_verify(ssl, SSL_VERIFY_NONE, nullptr);
  return set_session_context(ssl, plain_session.data(), plain_session.size());
}

ClientIdentity identity_of(SSL* ssl, std::shared_ptr<const ClientTrust> trust) {
  ClientIdentity identity{std::move(trust), {}, {}};
  auto* certificate = SSL_get0_peer_certificate(ssl);
  if (certificate == nullptr || SSL_get_verify_result(ssl) != X509_V_OK) return identity;
  identity.not_after =
      SSL_session_reused(ssl) == 1
          ? remembered_end(SSL_get_session(ssl)).value_or(crypto::not_after(*certificate))
          : first_end(ssl);
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  if (size <= 0) throw std::bad_alloc();
  identity.field = ":" +
                   crypto::base64_encode(
                       {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)}) +
                   ":";
  OPENSSL_free(bytes);
  return identity;
}

std::string client_refusal(const SSL* ssl) {
  // The last one: before it stand those of the signature that is wrong.
  switch (ERR_GET_REASON(ERR_peek_last_error())) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return "none was shown";
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return X509_verify_cert_error_string(SSL_get_verify_result(ssl));
    case SSL_R_EXCESSIVE_MESSAGE_SIZE:
      return "more was shown than can be looked at";
    default:
      return {};
  }
}

bool end_tickets_with_certificates(SSL_CTX* context) {
  return SSL_CTX_set_session_ticket_cb(context, remember_end, look_at_ticket, nullptr) == 1;
}

}  // namespace karreg::proxy::tls
