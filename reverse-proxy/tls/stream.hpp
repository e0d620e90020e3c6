#pragma once
/// TLS 1.2 and 1.3 for visitors, and towards instances, by OpenSSL, over a socket of the loop.

#include <openssl/ssl.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/handle.hpp"
#include "reverse-proxy/loop/socket.hpp"
#include "reverse-proxy/tls/certificate.hpp"
#include "reverse-proxy/tls/challenges.hpp"
#include "reverse-proxy/tls/client_context.hpp"
#include "reverse-proxy/tls/client_trust.hpp"
#include "reverse-proxy/tls/ticket_keys.hpp"

namespace karreg::proxy::tls {

/// What the connections of one worker share. Of that worker's thread.
class Context {
 public:
  /// Throws std::runtime_error when OpenSSL cannot do what we need.
  explicit Context(TicketKeys& keys);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// New handshakes take their certificate from @p certificates; connections that stand stay.
  void use(std::shared_ptr<const CertificateSet> certificates) {
    certificates_ = std::move(certificates);
  }
  /// Certificate authorities that ask by TLS are answered from @p challenges.
  void use(std::shared_ptr<const Challenges> challenges) { challenges_ = std::move(challenges); }
  /// Handshakes ask for what @p check says of the host that is asked for (in lower case).
  void ask_by(std::function<ClientCheck(const std::string& host)> check) {
    check_ = std::move(check);
  }
  SSL_CTX* get() const { return context_.get(); }

 private:
  static int look_at_hello(SSL* ssl, int* alert, void* self);
  static int choose_certificate(SSL* ssl, void* self);
  static int seal_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                         EVP_MAC_CTX* mac, int encrypt);
  static int staple(SSL* ssl, void* self);

  TicketKeys& keys_;
  Handle<SSL_CTX, SSL_CTX_free> context_;
  std::shared_ptr<const CertificateSet> certificates_ = std::make_shared<CertificateSet>();
  std::shared_ptr<const Challenges> challenges_ = std::make_shared<Challenges>();
  std::function<ClientCheck(const std::string& host)> check_;
};

/// What a hello has led to; of one connection.
struct HelloSeen {
  const Certificate* challenge = nullptr;  ///< answers the one that it asks for; else a visitor's
  std::unique_ptr<ClientCheck> check;      ///< nullptr: the visitor is asked for nothing
};

/// One connection. Never waits: what the socket refuses is `waits`, and the
/// socket's flags say what for.
class Stream {
 public:
  /// The server's side.
  Stream(const Context& context, Socket& socket);
  /// The client's side, to the server called @p name; empty: by none.
  Stream(const ClientContext& context, const std::string& name, Socket& socket);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  enum class Status {
    done,
    waits,
    ended,       ///< the peer has said all
    failed,      ///< broken, or no TLS; the connection is of no use any more
    plain_http,  ///< the peer speaks HTTP without TLS
  };
  Status handshake();
  /// At most @p into.size() bytes; @p taken when done.
  Status read(std::span<char> into, std::size_t& taken);
  /// Some of @p text. After `waits` the next call must begin with the same bytes. @p more: the next
  /// write follows at once, and the kernel need not send a packet for this one alone.
  Status write(std::string_view text, std::size_t& taken, bool more);
  /// What a read would say: bytes (1), nothing yet (0), or the end (-1).
  int peek();
  /// Tells the peer that nothing more comes, so that it can tell the end from a cut.
  void say_end();
  /// The protocol chosen by ALPN (RFC 7301): "h2", "http/1.1", "acme-tls/1", or empty.
  std::string_view protocol() const;
  /// The host that was asked for, as it was written; empty: none.
  std::string_view server_name() const;
  /// Who is there; nullptr: he was not asked, or the handshake is not done.
  const ClientIdentity* identity() const { return identity_.get(); }
  /// What he was asked for in a handshake that failed, and why his certificate, or that he has
  /// none, is the reason; empty: it is not.
  const ClientTrust* asked_by() const { return hello_.check ? hello_.check->trust.get() : nullptr; }
  const std::string& client_refusal() const { return client_refusal_; }
  /// Why the handshake failed, in English.
  const std::string& why() const { return why_; }

 private:
  class Wire;
  Stream(SSL_CTX* context, Socket& socket);
  Status status_of(int returned);
  std::string reason_of(unsigned long error) const;
  /// What the kernel was told that more follows goes, since it does not follow yet.
  void release();

  Socket& socket_;
  HelloSeen hello_;  ///< before what knows of it
  Handle<SSL, SSL_free> ssl_;
  std::unique_ptr<const ClientIdentity> identity_;
  std::string client_refusal_;
  std::string why_;
  bool failed_ = false;
  bool more_ = false;       ///< follows at once
  bool held_back_ = false;  ///< the kernel may wait for it
};

}  // namespace karreg::proxy::tls
