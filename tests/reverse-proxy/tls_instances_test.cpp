// Applications that are spoken to by TLS: HTTP/1.1 and HTTP/2, certificates that are checked.
#include <catch2/catch.hpp>
#include <csignal>

#include "reverse-proxy/http2_instance.hpp"
#include "reverse-proxy/http2_peer.hpp"
#include "reverse-proxy/with_rules.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;
using Catch::StartsWith;

namespace {

/// An application of HTTP/1.1 by TLS, which answers with the name that it was called by.
struct SecureApp {
  explicit SecureApp(const std::string& pem) : certificate(pem) {
    // OpenSSL writes to whom has left, too.
    std::signal(SIGPIPE, SIG_IGN);
  }
  /// Switches, and says what it hears.
  static void echo(SSL* ssl) {
    const std::string_view answer =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    SSL_write(ssl, answer.data(), static_cast<int>(answer.size()));
    char bytes[4096];
    for (int n = 0; (n = SSL_read(ssl, bytes, sizeof bytes)) > 0;) SSL_write(ssl, bytes, n);
  }

  std::string certificate;
  std::atomic<int> handshakes{0};
  bool is_introduced = false;  ///< a line of the PROXY protocol comes before all else
  std::string introduction;
  App app{[this](Peer& peer, int) {
    const Handle<SSL_CTX, SSL_CTX_free> context(SSL_CTX_new(TLS_server_method()));
    const Handle<BIO, BIO_free_all> in(
        BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size())));
    const Handle<X509, X509_free> leaf(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
    const Handle<EVP_PKEY, EVP_PKEY_free> key(
        PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
    SSL_CTX_use_certificate(context.get(), leaf.get());
    SSL_CTX_use_PrivateKey(context.get(), key.get());
    const Handle<SSL, SSL_free> ssl(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), peer.fd());
    // Not a byte of what follows, which is OpenSSL's.
    for (char c = 0; is_introduced && c != '\n'; introduction += c)
      if (::recv(peer.fd(), &c, 1, 0) != 1) return;
    if (SSL_accept(ssl.get()) != 1) return;
    ++handshakes;
    const char* name = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);
    const std::string body = name == nullptr ? "none" : name;
    const auto answer =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    char bytes[4096];
    for (std::string text; SSL_read(ssl.get(), bytes, 1) == 1;) {
      text += bytes[0];
      if (!text.ends_with("\r\n\r\n")) continue;
      if (text.find("/bye") != std::string::npos) return;
      if (text.find("Upgrade: websocket") != std::string::npos) return echo(ssl.get());
      text.clear();
      SSL_write(ssl.get(), answer.data(), static_cast<int>(answer.size()));
    }
  }};
};

std::string only_certificate(const std::string& bundle) {
  return bundle.substr(0, bundle.find("-----BEGIN PRIVATE KEY-----"));
}

}  // namespace

TEST_CASE("applications are spoken to by TLS, and connections are kept") {
  const auto pem = bundle({"inside.test"});
  SecureApp application(pem);
  SecureLoopback loop;
  loop.use({spoken_to("https", {&application.app})});
  auto client = loop.client();
  for (int i = 0; i < 5; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    // The name is the one that was asked for.
    CHECK(body_of(client.read_message()) == "a.test");
  }
  CHECK(application.handshakes == 1);
  Http2Peer modern(loop.proxy.tls_port());
  CHECK(modern.fetch(Http2Peer::get()).body == "a.test");
  CHECK(application.handshakes == 1);
  SECTION("which end when they have been idle") {
    CHECK(eventually([&] { return application.app.closed() == 1; }));
    CHECK(body_of(loop.get()) == "a.test");
  }
  SECTION("one that broke is another's request no more") {
    CHECK(status_of(loop.get("/bye")) == "502");
    CHECK(body_of(loop.get()) == "a.test");
  }
}

TEST_CASE("the PROXY protocol comes before the handshake with an instance") {
  SecureApp application(bundle({"inside.test"}));
  application.is_introduced = true;
  SecureLoopback loop;
  loop.use(
      {with_rules({&application.app}, R"({"instance":{"protocol":"https","send_proxy":"v1"}})")});
  CHECK(body_of(loop.get()) == "a.test");
  CHECK_THAT(application.introduction, StartsWith("PROXY TCP4 127.0.0.1 127.0.0.1 "));
}

TEST_CASE("a WebSocket goes to an application by TLS, but to none by HTTP/2") {
  const std::string ask =
      "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  SecureApp application(bundle({"inside.test"}));
  Http2Instance modern(Http2Instance::hello());
  SecureLoopback loop;
  loop.use({spoken_to("https", {&application.app})});
  auto client = loop.client();
  client.send(ask);
  CHECK_THAT(client.read_head(), StartsWith("HTTP/1.1 101 "));
  const auto much = letters(100'000);
  for (const auto& word : {std::string("one"), much}) {
    client.send(word);
    CHECK(client.read_exactly(word.size()) == word);
  }
  loop.use({spoken_to("h2c", {&modern.app()})});
  auto other = loop.client();
  other.send(ask);
  const auto answer = other.read_message();
  CHECK(status_of(answer) == "501");
  CHECK_THAT(answer, Contains("are spoken to by HTTP/2"));
  CHECK(modern.requests().empty());
}

TEST_CASE("applications are spoken to by HTTP/2 over TLS") {
  auto behaviour = Http2Instance::hello("secure");
  behaviour.certificate = bundle({"inside.test"});
  Http2Instance instance(behaviour);
  SecureLoopback loop;
  loop.use({spoken_to("h2", {&instance.app()})});
  for (int i = 0; i < 3; ++i) CHECK_THAT(loop.get(), Contains("secure"));
  Http2Peer modern(loop.proxy.tls_port());
  const auto large = letters(1'000'000);
  CHECK(modern.fetch(Http2Peer::post(), large).body == "secure");
  CHECK(instance.only().body == large);
  CHECK(instance.only().field(":scheme") == "https");
  CHECK(instance.app().connections() == 1);
}

TEST_CASE("an instance that does not choose HTTP/2 by ALPN is not spoken to by it") {
  auto behaviour = Http2Instance::hello();
  behaviour.certificate = bundle({"inside.test"});
  behaviour.protocol = "\x08http/1.1";
  Http2Instance instance(behaviour);
  SecureLoopback loop;
  loop.use({spoken_to("h2", {&instance.app()})});
  const auto answer = loop.get();
  CHECK(status_of(answer) == "502");
  CHECK_THAT(answer, Contains("it does not offer HTTP/2 by TLS (ALPN)"));
}

TEST_CASE("with a ca the certificates of instances are checked, and nothing is sent without") {
  const auto right = bundle({"inside.test"});
  const auto other = bundle({"inside.test"});
  const std::string protocol = GENERATE("https", "h2");
  auto behaviour = Http2Instance::hello("inside.test");
  behaviour.certificate = right;
  Http2Instance modern(behaviour);
  SecureApp old(right);
  const auto& app = protocol == "h2" ? modern.app() : old.app;
  SecureLoopback loop;
  auto fails = [&](const std::string& why) {
    const auto answer = loop.get();
    CHECK(status_of(answer) == "502");
    CHECK_THAT(answer, Contains("could not be spoken to as the application's rules say"));
    CHECK_THAT(answer, Contains(why));
    CHECK(modern.requests().empty());
    CHECK(old.handshakes == 0);
  };
  SECTION("its own certificate is one") {
    loop.use({spoken_to(protocol, {&app}, only_certificate(right))});
    CHECK(status_of(loop.get()) == "200");
  }
  SECTION("one among others") {
    loop.use({spoken_to(protocol, {&app}, only_certificate(other) + only_certificate(right))});
    CHECK(status_of(loop.get()) == "200");
  }
  SECTION("another one of the same name is not") {
    loop.use({spoken_to(protocol, {&app}, only_certificate(other))});
    fails("its certificate is not accepted");
    // Not a second time either, by what was kept.
    fails("its certificate is not accepted");
  }
  SECTION("the name is checked when it is said") {
    loop.use({spoken_to(protocol, {&app}, only_certificate(right), "inside.test")});
    const auto answer = loop.get();
    CHECK(status_of(answer) == "200");
    // And is what the instance is called by.
    CHECK_THAT(answer, Contains("inside.test"));
  }
  SECTION("and a wrong one is a failure") {
    loop.use({spoken_to(protocol, {&app}, only_certificate(right), "outside.test")});
    fails("its certificate is not accepted: hostname mismatch");
  }
}

TEST_CASE(
    "connections by which a certificate was not checked serve no request that wants it checked") {
  const auto right = bundle({"inside.test"});
  const auto other = bundle({"inside.test"});
  SecureApp application(right);
  SecureLoopback loop;
  loop.use({spoken_to("https", {&application.app})});
  CHECK(status_of(loop.get()) == "200");
  loop.use({spoken_to("https", {&application.app}, only_certificate(other))});
  CHECK(status_of(loop.get()) == "502");
  loop.use({spoken_to("https", {&application.app}, only_certificate(right))});
  CHECK(eventually([&] { return status_of(loop.get()) == "200"; }));
}

TEST_CASE("an application that speaks no TLS is not spoken to in clear instead") {
  std::atomic<int> requests{0};
  App plain([&](Peer& peer, int) {
    const auto head = peer.read_until("\r\n\r\n", 300ms);
    if (head.find("HTTP/1.1\r\n") != std::string::npos) ++requests;
    peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  });
  SecureLoopback loop;
  const std::string protocol = GENERATE("https", "h2");
  loop.use({spoken_to(protocol, {&plain})});
  const auto answer = loop.get();
  CHECK(status_of(answer) == "502");
  CHECK_THAT(answer, Contains("could not be spoken to as the application's rules say"));
  CHECK(requests == 0);
}

TEST_CASE("a handshake of TLS that an instance does not end is given up in time") {
  App silent([](Peer& peer, int) { (void)peer.read_to_end(); });
  ProxyOptions options = with_tls();
  options.limits.connect_time = 200ms;
  options.limits.attempts = 1;
  SecureLoopback loop(options);
  loop.use({spoken_to("https", {&silent})});
  const auto answer = loop.get();
  CHECK(status_of(answer) == "502");
  CHECK_THAT(answer, Contains("does not end the handshake of TLS in time"));
}
