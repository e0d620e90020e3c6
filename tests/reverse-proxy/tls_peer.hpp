#pragma once
/// Certificates made for a test, and a client that speaks TLS, by OpenSSL: blocking, every wait
/// with a deadline.

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/time.h>

#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/handle.hpp"
#include "reverse-proxy/loopback.hpp"

namespace karreg::proxy::testing {

using Key = Handle<EVP_PKEY, EVP_PKEY_free>;
using Session = Handle<SSL_SESSION, SSL_SESSION_free>;

inline std::string pem_of(EVP_PKEY* key, const char* pass_phrase = nullptr) {
  const Handle<BIO, BIO_free_all> out(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(out.get(), key, pass_phrase == nullptr ? nullptr : EVP_aes_256_cbc(),
                           nullptr, 0, nullptr, const_cast<char*>(pass_phrase));
  char* text = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

/// Signs itself; PEM. @p names without one: no subjectAltName.
inline std::string certificate_pem(const std::vector<std::string>& names, EVP_PKEY* key,
                                   int days = 30, const std::string& subject = "test",
                                   int from_day = 0) {
  const Handle<X509, X509_free> made(X509_new());
  X509_set_version(made.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), 86'400L * from_day - 3600);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 86'400L * days);
  X509_set_pubkey(made.get(), key);
  auto* name = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(subject.c_str()), -1, -1, 0);
  X509_set_issuer_name(made.get(), name);
  std::string list;
  for (const auto& one : names) list += (list.empty() ? "DNS:" : ",DNS:") + one;
  if (!list.empty()) {
    const Handle<X509_EXTENSION, X509_EXTENSION_free> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, list.c_str()));
    X509_add_ext(made.get(), extension.get(), -1);
  }
  if (X509_sign(made.get(), key, EVP_sha256()) == 0)
    throw std::runtime_error("cannot sign a certificate");
  const Handle<BIO, BIO_free_all> out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(out.get(), made.get());
  char* text = nullptr;
  const auto size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

inline Key new_key() {
  return Key(EVP_EC_gen("P-256"));
}

/// Certificate and key.
inline std::string bundle(const std::vector<std::string>& names,
                          const std::string& subject = "test", int days = 30, int from_day = 0) {
  const auto key = new_key();
  return certificate_pem(names, key.get(), days, subject, from_day) + pem_of(key.get());
}

/// A connection that may not come to stand.
class TlsPeer {
 public:
  struct Wish {
    std::string name = "a.test";  ///< the host that it asks for; empty: none
    int newest = TLS1_3_VERSION;
    SSL_SESSION* session = nullptr;  ///< to be resumed
    bool next_ticket = false;        ///< keep what comes for the next time, also after resuming
    bool staple = false;
    std::string before = {};     ///< said before the handshake
    std::string protocols = {};  ///< for ALPN, each after its length; empty: none
    std::string shows = {};      ///< certificate, further ones and key, PEM; empty: none
    std::string groups = {};     ///< of its keys, the one that it offers first; empty: OpenSSL's
  };
  explicit TlsPeer(std::uint16_t port) : TlsPeer(port, Wish{}) {}
  TlsPeer(std::uint16_t port, const Wish& wish) : context_(SSL_CTX_new(TLS_client_method())) {
    // OpenSSL writes to a socket that the proxy has closed.
    std::signal(SIGPIPE, SIG_IGN);
    auto* context = context_.get();
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, wish.newest);
    // So that old versions can be asked for at all.
    SSL_CTX_set_security_level(context, 0);
    // With it OpenSSL marks a ticket of TLS 1.3 as used up once it was resumed with.
    SSL_CTX_set_session_cache_mode(context, wish.session == nullptr || wish.next_ticket
                                                ? SSL_SESS_CACHE_CLIENT
                                                : SSL_SESS_CACHE_OFF);
    SSL_CTX_set_app_data(context, this);
    SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
      static_cast<TlsPeer*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->session_.reset(session);
      return 1;
    });
    if (!wish.shows.empty()) show(wish.shows);
    if (!wish.groups.empty()) SSL_CTX_set1_groups_list(context, wish.groups.c_str());
    fd_ = Peer::connect(port).release();
    const timeval patience{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    (void)!::send(fd_, wish.before.data(), wish.before.size(), MSG_NOSIGNAL);
    ssl_.reset(SSL_new(context));
    SSL_set_fd(ssl_.get(), fd_);
    if (!wish.name.empty()) SSL_set_tlsext_host_name(ssl_.get(), wish.name.c_str());
    if (wish.session != nullptr) SSL_set_session(ssl_.get(), wish.session);
    if (!wish.protocols.empty())
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(wish.protocols.data()),
                          static_cast<unsigned int>(wish.protocols.size()));
    if (wish.staple) SSL_set_tlsext_status_type(ssl_.get(), TLSEXT_STATUSTYPE_ocsp);
    stands_ = SSL_connect(ssl_.get()) == 1;
    ERR_clear_error();
  }
  ~TlsPeer() {
    // OpenSSL lets nobody resume what it has not seen the end of.
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    ssl_.reset();
    if (fd_ >= 0) ::close(fd_);
  }
  TlsPeer(const TlsPeer&) = delete;
  TlsPeer& operator=(const TlsPeer&) = delete;

  bool stands() const { return stands_; }
  bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  /// What it may resume with; comes with the first answer.
  SSL_SESSION* session() const { return session_.get(); }
  std::string version() const { return SSL_get_version(ssl_.get()); }
  /// Subject of the certificate that it was shown.
  std::string subject() const {
    const Handle<X509, X509_free> shown(SSL_get1_peer_certificate(ssl_.get()));
    if (!shown) return "none";
    char text[100] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, text,
                              sizeof text);
    return text;
  }
  /// The certificate that was shown; PEM, empty: none.
  std::string certificate() const {
    const Handle<X509, X509_free> shown(SSL_get1_peer_certificate(ssl_.get()));
    if (!shown) return "";
    const Handle<BIO, BIO_free_all> out(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(out.get(), shown.get());
    char* text = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
  }
  std::string stapled() const {
    const unsigned char* bytes = nullptr;
    // NOLINTNEXTLINE(bugprone-multi-level-implicit-pointer-conversion): in OpenSSL's macro
    const auto size = SSL_get_tlsext_status_ocsp_resp(ssl_.get(), &bytes);
    return size <= 0
               ? ""
               : std::string(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  }

  /// What was chosen of the protocols.
  std::string protocol() const {
    const unsigned char* name = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }

  /// What comes next; empty: the end, or nothing in time.
  std::string read_some() {
    if (rest_.empty()) more();
    return take(rest_.size());
  }
  bool send(std::string_view text) {
    return SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) ==
           static_cast<int>(text.size());
  }
  std::string read_exactly(std::size_t n) {
    while (rest_.size() < n && more()) {
    }
    return take(std::min(n, rest_.size()));
  }
  /// A message with Content-Length.
  std::string read_message() {
    while (rest_.find("\r\n\r\n") == std::string::npos)
      if (!more()) return take(rest_.size());
    const auto head = rest_.find("\r\n\r\n") + 4;
    return read_exactly(head + Peer::content_length(rest_.substr(0, head)));
  }
  std::string read_to_end() {
    while (more()) {
    }
    return take(rest_.size());
  }
  /// The proxy has said its end in TLS: what came is not cut short.
  bool ended_cleanly() const { return ended_cleanly_; }
  /// Says its end and goes.
  void leave() {
    SSL_shutdown(ssl_.get());
    ::shutdown(fd_, SHUT_RDWR);
  }

 private:
  void show(const std::string& pem) {
    const Handle<BIO, BIO_free_all> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const Handle<BIO, BIO_free_all> again(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const Handle<EVP_PKEY, EVP_PKEY_free> key(
        PEM_read_bio_PrivateKey(again.get(), nullptr, nullptr, nullptr));
    const Handle<X509, X509_free> own(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
    if (SSL_CTX_use_certificate(context_.get(), own.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context_.get(), key.get()) != 1)
      throw std::runtime_error("no certificate with its key");
    while (X509* next = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr))
      SSL_CTX_add0_chain_cert(context_.get(), next);
    ERR_clear_error();
  }
  bool more() {
    char bytes[16'384];
    const int n = SSL_read(ssl_.get(), bytes, sizeof bytes);
    if (n <= 0) {
      ended_cleanly_ = SSL_get_error(ssl_.get(), n) == SSL_ERROR_ZERO_RETURN;
      ERR_clear_error();
      return false;
    }
    rest_.append(bytes, static_cast<std::size_t>(n));
    return true;
  }
  std::string take(std::size_t n) {
    std::string result = rest_.substr(0, n);
    rest_.erase(0, n);
    return result;
  }

  Handle<SSL_CTX, SSL_CTX_free> context_;
  Session session_;
  Handle<SSL, SSL_free> ssl_;
  int fd_ = -1;
  bool stands_ = false;
  bool ended_cleanly_ = false;
  std::string rest_;
};

/// @p options, and a port for TLS.
inline ProxyOptions with_tls(ProxyOptions options = {}) {
  options.tls_listen = Endpoint{"127.0.0.1", 0};
  return options;
}

/// A proxy that speaks TLS and HTTP/2, with a certificate for these hosts.
struct SecureLoopback : Loopback {
  explicit SecureLoopback(ProxyOptions options = {},
                          const std::vector<std::string>& hosts = {"a.test"})
      : Loopback(with_tls(std::move(options))) {
    const auto certificate = tls::Certificate::from_pem(bundle(hosts));
    if (!certificate) throw std::runtime_error(certificate.error().message());
    proxy.use(std::make_shared<tls::CertificateSet>(
        std::vector<tls::CertificateSet::Shared>{*certificate}, nullptr));
  }
};

}  // namespace karreg::proxy::testing
