#include "reverse-proxy/tls/stream.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/text.hpp"

namespace karreg::proxy::tls {

namespace {

/// Those of Mozilla's "intermediate" configuration, version 5.7: forward secrecy and AEAD only.
constexpr const char* tls12_ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

HelloSeen& hello_of(const SSL* ssl) {
  return *static_cast<HelloSeen*>(SSL_get_app_data(ssl));
}

std::string_view hello_extension(SSL* ssl, unsigned int type) {
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, type, &bytes, &size) != 1) return {};
  return {reinterpret_cast<const char*>(bytes), size};
}

/// The one host of a server_name extension (RFC 6066 §3); empty: it has another form.
std::string_view host_in(std::string_view extension) {
  const auto number = [&](std::size_t at) {
    return static_cast<unsigned char>(extension[at]) * 256U +
           static_cast<unsigned char>(extension[at + 1]);
  };
  constexpr std::size_t before = 5;
  if (extension.size() <= before || number(0) + 2 != extension.size() || extension[2] != 0 ||
      number(3) + before != extension.size())
    return {};
  return extension.substr(before);
}

int alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
         unsigned int in_size, void*) {
  if (hello_of(ssl).challenge != nullptr) {
    *out = reinterpret_cast<const unsigned char*>(acme_protocol.data());
    *out_size = static_cast<unsigned char>(acme_protocol.size());
    return SSL_TLSEXT_ERR_OK;
  }
  static constexpr std::string_view ours = "\x02h2\x08http/1.1";
  auto* chosen = const_cast<unsigned char*>(*out);
  const int found =
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned int>(ours.size()), in, in_size);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Context::Context(TicketKeys& keys) : keys_(keys), context_(SSL_CTX_new(TLS_server_method())) {
  auto* context = context_.get();
  if (context == nullptr) throw std::runtime_error("OpenSSL makes no context");
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_PRIORITIZE_CHACHA);
  // Buffers are given back between records: most connections are idle.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // One read for a record instead of two.
  SSL_CTX_set_read_ahead(context, 1);
  // One ticket for a handshake instead of two: each comes back with a new one.
  SSL_CTX_set_num_tickets(context, 1);
  // Tickets hold the sessions: nothing is kept here for who does not come back.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  const bool set = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                   SSL_CTX_set_cipher_list(context, tls12_ciphers) == 1 &&
                   SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1 &&
                   end_tickets_with_certificates(context) &&
                   SSL_CTX_set_tlsext_ticket_key_evp_cb(context, seal_ticket) == 1;
  if (!set) throw std::runtime_error("OpenSSL does not take our TLS settings");
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_client_hello_cb(context, look_at_hello, this);
  SSL_CTX_set_cert_cb(context, choose_certificate, this);
  SSL_CTX_set_alpn_select_cb(context, alpn, nullptr);
  SSL_CTX_set_tlsext_status_cb(context, staple);
  SSL_CTX_set_tlsext_status_arg(context, this);
}

int Context::look_at_hello(SSL* ssl, int* alert, void* self) {
  const auto& context = *static_cast<Context*>(self);
  auto& seen = hello_of(ssl);
  // A second hello (RFC 8446 §4.1.2) is looked at anew.
  seen = {};
  const auto host = host_in(hello_extension(ssl, TLSEXT_TYPE_server_name));
  if (context.challenges_->has_tls()) {
    // RFC 8737 §3: the list has this one protocol.
    static constexpr std::string_view only_acme{
        "\x00\x0b\x0a"
        "acme-tls/1",
        13};
    if (hello_extension(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation) == only_acme)
      seen.challenge = context.challenges_->tls_answer(host);
  }
  ClientCheck check;
  if (seen.challenge == nullptr && context.check_) check = context.check_(text::lower(host));
  const bool told = check.trust ? check.ask(ssl) : ask_nothing(ssl);
  if (check.trust) seen.check = std::make_unique<ClientCheck>(std::move(check));
  if (told) return SSL_CLIENT_HELLO_SUCCESS;
  *alert = SSL_AD_INTERNAL_ERROR;
  return SSL_CLIENT_HELLO_ERROR;
}

int Context::choose_certificate(SSL* ssl, void* self) {
  // Within the same step of OpenSSL's as look_at_hello(): the challenges are still the same.
  if (const auto* proof = hello_of(ssl).challenge) return proof->use_for(ssl) ? 1 : 0;
  const auto& certificates = *static_cast<Context*>(self)->certificates_;
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const auto certificate = certificates.find(name == nullptr ? std::string_view() : name);
  return certificate && certificate->use_for(ssl) ? 1 : 0;
}

int Context::staple(SSL* ssl, void* self) {
  const auto& certificates = *static_cast<Context*>(self)->certificates_;
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const auto certificate = certificates.find(name == nullptr ? std::string_view() : name);
  if (!certificate || certificate->ocsp().empty()) return SSL_TLSEXT_ERR_NOACK;
  const auto& response = certificate->ocsp();
  // OpenSSL frees it.
  auto* copy = static_cast<unsigned char*>(OPENSSL_memdup(response.data(), response.size()));
  if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(response.size()));
  return SSL_TLSEXT_ERR_OK;
}

int Context::seal_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                         EVP_MAC_CTX* mac, int encrypt) {
  auto& self = *static_cast<Context*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const auto now = std::chrono::steady_clock::now();
  std::optional<TicketKeys::Found> found;
  if (encrypt != 0) {
    found = TicketKeys::Found{self.keys_.newest(now)};
    std::ranges::copy(found->key.name, name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
  } else {
    found = self.keys_.find(name, now);
    // A full handshake.
    if (!found) return 0;
  }
  std::string digest = "SHA256";
  const std::array<OSSL_PARAM, 3> parameters{
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, found->key.mac.data(),
                                        found->key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  const bool ready = EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, found->key.cipher.data(),
                                       iv, encrypt) == 1 &&
                     EVP_MAC_CTX_set_params(mac, parameters.data()) == 1;
  if (!ready) return -1;
  // 2: a new ticket comes with the answer. Clients of TLS 1.3 use one once.
  const bool renew = encrypt == 0 && (!found->newest || SSL_version(ssl) == TLS1_3_VERSION);
  return renew ? 2 : 1;
}

/// A BIO over a stream's socket: it is read and written as the sockets of the loop are, with their
/// flags kept.
class Stream::Wire {
 public:
  static BIO_METHOD* method() {
    static const Handle<BIO_METHOD, BIO_meth_free> method = [] {
      Handle<BIO_METHOD, BIO_meth_free> made(
          BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "karreg socket"));
      if (!made || BIO_meth_set_read_ex(made.get(), read) != 1 ||
          BIO_meth_set_write_ex(made.get(), write) != 1 ||
          BIO_meth_set_ctrl(made.get(), control) != 1)
        throw std::runtime_error("OpenSSL makes no BIO");
      return made;
    }();
    return method.get();
  }

 private:
  static Stream& stream_of(BIO* bio) { return *static_cast<Stream*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* into, std::size_t size, std::size_t* taken) {
    BIO_clear_retry_flags(bio);
    auto& socket = stream_of(bio).socket_;
    for (;;) {
      if (socket.is_open() && !socket.may_read()) {
        BIO_set_retry_read(bio);
        return 0;
      }
      const auto n = socket.is_open() ? ::recv(socket.fd(), into, size, 0) : 0;
      if (n > 0) {
        *taken = static_cast<std::size_t>(n);
        if (*taken < size) socket.took_all();
        return 1;
      }
      if (n == 0) {
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
        return 0;
      }
      if (errno == EAGAIN)
        socket.nothing_to_read();
      else if (errno != EINTR)
        return 0;
    }
  }

  static int write(BIO* bio, const char* from, std::size_t size, std::size_t* taken) {
    BIO_clear_retry_flags(bio);
    auto& stream = stream_of(bio);
    auto& socket = stream.socket_;
    for (;;) {
      if (!socket.is_open()) return 0;
      if (!socket.may_write()) {
        BIO_set_retry_write(bio);
        return 0;
      }
      const int flags = MSG_NOSIGNAL | (stream.more_ ? MSG_MORE : 0);
      const auto n = ::send(socket.fd(), from, size, flags);
      if (n >= 0) {
        stream.held_back_ = stream.more_;
        *taken = static_cast<std::size_t>(n);
        return 1;
      }
      if (errno == EAGAIN) {
        stream.release();
        socket.no_room();
      } else if (errno != EINTR) {
        return 0;
      }
    }
  }

  static long control(BIO* bio, int command, long, void*) {
    switch (command) {
      case BIO_CTRL_FLUSH:
        return 1;
      case BIO_CTRL_EOF:
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
      default:
        return 0;
    }
  }
};

Stream::Stream(const Context& context, Socket& socket) : Stream(context.get(), socket) {
  SSL_set_app_data(ssl_.get(), &hello_);
  SSL_set_accept_state(ssl_.get());
}

Stream::Stream(const ClientContext& context, const std::string& name, Socket& socket)
    : Stream(context.get(), socket) {
  SSL_set_connect_state(ssl_.get());
  // Addresses are not sent (RFC 6066 §3).
  const Handle<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> address(a2i_IPADDRESS(name.c_str()));
  ERR_clear_error();
  if (!name.empty() && !address) SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
  if (!context.checks_name()) return;
  if (address)
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), name.c_str());
  else
    SSL_set1_host(ssl_.get(), name.c_str());
}

Stream::Stream(SSL_CTX* context, Socket& socket) : socket_(socket), ssl_(SSL_new(context)) {
  BIO* bio = ssl_ ? BIO_new(Wire::method()) : nullptr;
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  // One reference for both directions, which the SSL takes over.
  SSL_set_bio(ssl_.get(), bio, bio);
}

Stream::Status Stream::status_of(int returned) {
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Status::waits;
    case SSL_ERROR_ZERO_RETURN:
      return Status::ended;
    default:
      break;
  }
  const auto error = ERR_peek_error();
  const bool plain = ERR_GET_REASON(error) == SSL_R_HTTP_REQUEST;
  if (!SSL_is_init_finished(ssl_.get())) why_ = reason_of(error);
  if (hello_.check && !identity_) client_refusal_ = tls::client_refusal(ssl_.get());
  ERR_clear_error();
  failed_ = true;
  return plain ? Status::plain_http : Status::failed;
}

std::string Stream::reason_of(unsigned long error) const {
  if (ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
    return std::string("its certificate is not accepted: ") +
           X509_verify_cert_error_string(SSL_get_verify_result(ssl_.get()));
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason == nullptr ? "it ended the connection in the handshake"
                           : std::string("the handshake failed: ") + reason;
}

void Stream::release() {
  if (!std::exchange(held_back_, false)) return;
  // Set once more, it sends what is there.
  const int on = 1;
  (void)::setsockopt(socket_.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Stream::Status Stream::handshake() {
  ERR_clear_error();
  const int returned = SSL_do_handshake(ssl_.get());
  if (returned != 1) return status_of(returned);
  if (hello_.check)
    identity_ = std::make_unique<ClientIdentity>(identity_of(ssl_.get(), hello_.check->trust));
  return Status::done;
}

Stream::Status Stream::read(std::span<char> into, std::size_t& taken) {
  ERR_clear_error();
  const int returned = SSL_read_ex(ssl_.get(), into.data(), into.size(), &taken);
  return returned == 1 ? Status::done : status_of(returned);
}

Stream::Status Stream::write(std::string_view text, std::size_t& taken, bool more) {
  ERR_clear_error();
  more_ = more;
  const int returned = SSL_write_ex(ssl_.get(), text.data(), text.size(), &taken);
  more_ = false;
  return returned == 1 ? Status::done : status_of(returned);
}

int Stream::peek() {
  ERR_clear_error();
  char byte = 0;
  std::size_t taken = 0;
  const int returned = SSL_peek_ex(ssl_.get(), &byte, 1, &taken);
  if (returned == 1) return 1;
  return status_of(returned) == Status::waits ? 0 : -1;
}

void Stream::say_end() {
  // Not in the middle of a handshake, and after an error OpenSSL must not be asked.
  if (!failed_ && SSL_is_init_finished(ssl_.get()) == 1) (void)SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

std::string_view Stream::server_name() const {
  const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? std::string_view() : name;
}

std::string_view Stream::protocol() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

}  // namespace karreg::proxy::tls
