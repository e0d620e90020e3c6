#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "reverse-proxy/tls/certificate_folder.hpp"
#include "reverse-proxy/tls_peer.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;

namespace {

std::shared_ptr<const tls::Certificate> certificate(const std::string& pem) {
  auto made = tls::Certificate::from_pem(pem);
  if (!made) throw std::runtime_error(made.error().message());
  return *made;
}

std::shared_ptr<const tls::CertificateSet> set_of(
    const std::vector<std::shared_ptr<const tls::Certificate>>& all,
    std::shared_ptr<const tls::Certificate> fallback = nullptr) {
  return std::make_shared<tls::CertificateSet>(all, std::move(fallback));
}

/// A proxy that has a certificate for a.test.
struct Secure : Loopback {
  explicit Secure(const ProxyOptions& options = with_tls()) : Loopback(options) {
    proxy.use(set_of({certificate(bundle({"a.test"}, "of a"))}));
  }
  std::uint16_t tls_port() const { return proxy.tls_port(); }
};

const std::string get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

}  // namespace

TEST_CASE("a visitor who comes by https is served, and the application knows how he came") {
  App app(App::mirror);
  Secure loop;
  loop.serve({&app});
  TlsPeer client(loop.tls_port());
  REQUIRE(client.stands());
  CHECK(client.version() == "TLSv1.3");
  for (int i = 0; i < 3; ++i) {
    REQUIRE(client.send(get));
    const auto seen = client.read_message();
    CHECK(status_of(seen) == "200");
    CHECK_THAT(seen, Catch::Contains("X-Forwarded-Proto: https\r\n"));
    CHECK_THAT(seen, Catch::Contains("X-Forwarded-Port: " + std::to_string(loop.tls_port())));
  }
  CHECK(app.connections() == 1);
  CHECK(loop.metric("tls_handshakes_total") == "1");
}

TEST_CASE("large bodies pass unchanged through TLS in both directions") {
  App app(App::mirror);
  Secure loop;
  loop.serve({&app});
  const auto newest = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  std::string body(3'000'000, '\0');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i % 23);
  TlsPeer client(loop.tls_port(), {.newest = newest});
  REQUIRE(client.stands());
  REQUIRE(client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: " +
                      std::to_string(body.size()) + "\r\n\r\n" + body));
  const auto seen = client.read_message();
  REQUIRE(status_of(seen) == "200");
  CHECK((seen.substr(seen.size() - body.size()) == body));
}

TEST_CASE("the certificate is the one for the host that is asked for") {
  Secure loop;
  loop.proxy.use(set_of({certificate(bundle({"a.test", "b.test"}, "of a and b")),
                         certificate(bundle({"*.apps.test"}, "of all apps")),
                         certificate(bundle({"one.apps.test"}, "of one"))}));
  auto shown = [&](const std::string& name) {
    return TlsPeer(loop.tls_port(), {.name = name}).subject();
  };
  CHECK(shown("a.test") == "of a and b");
  CHECK(shown("B.Test") == "of a and b");
  CHECK(shown("two.apps.test") == "of all apps");
  CHECK(shown("one.apps.test") == "of one");
  // One label, as browsers read it.
  CHECK(shown("x.two.apps.test") == "none");
  CHECK(shown("apps.test") == "none");
  CHECK(shown("") == "none");
  CHECK(loop.metric("tls_handshake_failures_total") == "3");
  loop.proxy.use(set_of({}, certificate(bundle({"c.test"}, "for the rest"))));
  CHECK(shown("unknown.test") == "for the rest");
  CHECK(shown("") == "for the rest");
}

TEST_CASE("a new certificate is shown from then on, and what stands is not disturbed") {
  App app(App::hello("hi"));
  Secure loop;
  loop.serve({&app});
  TlsPeer before(loop.tls_port());
  REQUIRE(before.stands());
  loop.proxy.use(set_of({certificate(bundle({"a.test"}, "renewed"))}));
  CHECK(TlsPeer(loop.tls_port()).subject() == "renewed");
  REQUIRE(before.send(get));
  CHECK(body_of(before.read_message()) == "hi");
  CHECK(before.subject() == "of a");
}

TEST_CASE("a visitor who comes back resumes, at whichever worker he comes out") {
  App app(App::hello("hi"));
  ProxyOptions four_workers;
  four_workers.workers = 4;
  Secure loop(with_tls(four_workers));
  loop.serve({&app});
  const auto newest = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  TlsPeer first(loop.tls_port(), {.newest = newest});
  REQUIRE(first.send(get));
  CHECK(body_of(first.read_message()) == "hi");
  CHECK_FALSE(first.resumed());
  REQUIRE(first.session() != nullptr);
  for (int i = 0; i < 12; ++i) {
    TlsPeer again(loop.tls_port(), {.newest = newest, .session = first.session()});
    CHECK(again.resumed());
  }
}

TEST_CASE("keys of tickets change, and the old ones hold for a day") {
  tls::TicketKeys keys;
  const std::chrono::steady_clock::time_point start{};
  const auto first = keys.newest(start);
  CHECK(keys.newest(start + 7h).name == first.name);
  const auto second = keys.newest(start + 8h);
  CHECK(second.name != first.name);
  CHECK(second.cipher != first.cipher);
  const auto old = keys.find(first.name.data(), start + 8h);
  REQUIRE(old);
  CHECK_FALSE(old->newest);
  CHECK(old->key.cipher == first.cipher);
  CHECK(keys.find(second.name.data(), start + 8h)->newest);
  CHECK(keys.find(first.name.data(), start + 24h - 1s));
  CHECK_FALSE(keys.find(first.name.data(), start + 24h));
}

TEST_CASE("old versions of TLS are refused") {
  Secure loop;
  const TlsPeer client(loop.tls_port(), {.newest = TLS1_1_VERSION});
  CHECK_FALSE(client.stands());
  CHECK(loop.metric("tls_handshake_failures_total") == "1");
}

TEST_CASE("an application that wants https is redirected to our own port, and told to stay there") {
  App app(App::hello("hi"));
  Secure loop;
  auto route = Loopback::a_route("a.test", {&app});
  route.force_https = true;
  loop.use({route});
  const auto redirect = loop.get("/x?y=1");
  CHECK(status_of(redirect) == "301");
  CHECK_THAT(redirect, Catch::Contains("Location: https://a.test:" +
                                       std::to_string(loop.tls_port()) + "/x?y=1\r\n"));
  TlsPeer client(loop.tls_port());
  REQUIRE(client.send(get));
  const auto seen = client.read_message();
  CHECK(body_of(seen) == "hi");
  CHECK_THAT(seen, Catch::Contains("Strict-Transport-Security: max-age=31536000\r\n"));
}

TEST_CASE("plain http at the port for https is told so in words") {
  Secure loop;
  auto client = Peer::connect(loop.tls_port());
  client.send(get);
  const auto seen = client.read_to_end();
  CHECK(status_of(seen) == "400");
  CHECK_THAT(seen, Catch::Contains("https://"));
}

TEST_CASE("what is no TLS, or comes too slowly, is ended") {
  auto options = with_tls();
  options.limits.header_time = 200ms;
  Secure loop(options);
  auto nonsense = Peer::connect(loop.tls_port());
  nonsense.send(std::string(100, '\xff'));
  nonsense.read_to_end();
  CHECK(nonsense.closed_by_peer());
  auto silent = Peer::connect(loop.tls_port());
  CHECK(silent.closed_by_peer());
  CHECK(loop.metric("tls_handshake_failures_total") == "2");
}

TEST_CASE("an answer that the application breaks off is broken off in TLS as well") {
  const bool whole = GENERATE(true, false);
  App app([whole](Peer& peer, int) {
    peer.read_message();
    // Without a length, only the end of the connection can say whether this is all.
    peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf");
    if (!whole) peer.reset();
  });
  Secure loop;
  loop.serve({&app});
  TlsPeer client(loop.tls_port());
  REQUIRE(client.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n"));
  const auto seen = client.read_to_end();
  CHECK_THAT(seen, Catch::StartsWith("HTTP/1.1 200"));
  CHECK(client.ended_cleanly() == whole);
}

TEST_CASE("a visitor who leaves in TLS takes his request with him") {
  std::atomic<int> ended{0};
  App app([&](Peer& peer, int) {
    peer.read_message();
    if (peer.closed_by_peer(20s)) ++ended;
  });
  Secure loop;
  loop.serve({&app});
  TlsPeer client(loop.tls_port());
  REQUIRE(client.send(get));
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  client.leave();
  CHECK(eventually([&] { return ended == 1; }));
  CHECK(eventually([&] { return loop.metric("client_left_total") == "1"; }));
}

TEST_CASE("a WebSocket passes through TLS") {
  App app([](Peer& peer, int) {
    peer.read_head();
    peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    peer.send("ping");
    peer.send(peer.read_exactly(4));
  });
  Secure loop;
  loop.serve({&app});
  TlsPeer client(loop.tls_port());
  REQUIRE(
      client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\n"
                  "Upgrade: websocket\r\n\r\n"));
  CHECK(status_of(client.read_message()) == "101");
  CHECK(client.read_exactly(4) == "ping");
  REQUIRE(client.send("pong"));
  CHECK(client.read_exactly(4) == "pong");
}

TEST_CASE("a bundle that cannot be used says why") {
  const auto key = new_key();
  const auto pem = certificate_pem({"a.test"}, key.get());
  auto why = [](const std::string& text) {
    const auto made = tls::Certificate::from_pem(text);
    return made ? std::string("it can") : made.error().message();
  };
  CHECK(why(pem + pem_of(key.get())) == "it can");
  CHECK(why(pem_of(key.get()) + pem) == "it can");
  CHECK_THAT(why(""), Catch::StartsWith("there is no certificate in it"));
  CHECK_THAT(why(pem_of(key.get())), Catch::StartsWith("there is no certificate in it"));
  CHECK_THAT(why(pem), Catch::StartsWith("there is no private key without a pass phrase in it"));
  CHECK_THAT(why(pem + pem_of(key.get(), "secret")),
             Catch::StartsWith("there is no private key without a pass phrase in it"));
  CHECK(why(pem + pem_of(new_key().get())) ==
        "its key belongs to another certificate than the first one in it");
  CHECK(why(certificate_pem({}, key.get()) + pem_of(key.get())) ==
        "the certificate names no host (subjectAltName)");
  CHECK_THAT(why("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
             Catch::StartsWith("a certificate in it cannot be read"));
}

TEST_CASE("of certificates for one name the one that lasts longest is shown, if it is valid yet") {
  const auto set = set_of({certificate(bundle({"a.test"}, "short", 10)),
                           certificate(bundle({"a.test"}, "long", 90)),
                           certificate(bundle({"a.test"}, "of tomorrow", 180, 1)),
                           certificate(bundle({"a.test"}, "shorter", 5))});
  Secure loop;
  loop.proxy.use(set);
  CHECK(TlsPeer(loop.tls_port()).subject() == "long");
}

TEST_CASE(
    "a folder of certificates is followed, and a renewal that went wrong takes nothing away") {
  const test::ScratchFolder folder;
  tls::CertificateFolder certificates(folder.path());
  test::write_file(folder / "a.pem", bundle({"a.test"}));
  test::write_file(folder / "notes.txt", "not one");
  auto look = certificates.look();
  REQUIRE(look.certificates);
  CHECK(look.problems.empty());
  CHECK(look.certificates->find("a.test"));
  CHECK_FALSE(look.certificates->find("b.test"));
  const auto first = look.certificates->find("a.test");

  CHECK_FALSE(certificates.look().certificates);

  test::write_file(folder / "a.pem", "half of a renew");
  test::write_file(folder / "default.pem", bundle({"b.test"}));
  look = certificates.look();
  REQUIRE(look.certificates);
  REQUIRE(look.problems.size() == 1);
  CHECK_THAT(look.problems[0], Catch::Contains("a.pem: there is no certificate in it"));
  CHECK_THAT(look.problems[0], Catch::Contains("what it held before stays in use"));
  CHECK(look.certificates->find("a.test") == first);
  CHECK(look.certificates->find("unknown.test") == look.certificates->find("b.test"));
  // It is said once.
  CHECK(certificates.look().problems.empty());

  test::write_file(folder / "a.pem", bundle({"a.test"}));
  test::write_file(folder / "a.pem.ocsp", "an answer");
  look = certificates.look();
  REQUIRE(look.certificates);
  CHECK(look.certificates->find("a.test") != first);
  CHECK(look.certificates->find("a.test")->ocsp() == "an answer");

  std::filesystem::remove(folder / "a.pem");
  std::filesystem::remove(folder / "default.pem");
  look = certificates.look();
  REQUIRE(look.certificates);
  CHECK(look.certificates->empty());
}

TEST_CASE("an OCSP answer is stapled for who asks for it") {
  Secure loop;
  const auto made = tls::Certificate::from_pem(bundle({"a.test"}), "the answer");
  REQUIRE(made);
  loop.proxy.use(set_of({*made}));
  CHECK(TlsPeer(loop.tls_port(), {.staple = true}).stapled() == "the answer");
  CHECK(TlsPeer(loop.tls_port()).stapled().empty());
}

TEST_CASE("what is no file cannot be a certificate, and harms none") {
  const test::ScratchFolder folder;
  tls::CertificateFolder certificates(folder.path());
  test::write_file(folder / "a.pem", bundle({"a.test"}));
  std::filesystem::create_directory(folder / "folder.pem");
  REQUIRE(::mkfifo((folder / "pipe.pem").c_str(), 0600) == 0);
  const auto look = certificates.look();
  REQUIRE(look.certificates);
  CHECK(look.certificates->find("a.test"));
  CHECK(look.problems.size() == 2);
}

TEST_CASE("who has resumed gets a ticket for the next time") {
  App app(App::hello("hi"));
  Secure loop;
  loop.serve({&app});
  const auto newest = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  std::unique_ptr<TlsPeer> last;
  for (int i = 0; i < 4; ++i) {
    auto next = std::make_unique<TlsPeer>(
        loop.tls_port(),
        TlsPeer::Wish{
            .newest = newest, .session = last ? last->session() : nullptr, .next_ticket = true});
    REQUIRE(next->send(get));
    CHECK(body_of(next->read_message()) == "hi");
    CHECK(next->resumed() == (i > 0));
    // TLS 1.2 may come back with the old one.
    if (next->session() != nullptr || newest == TLS1_3_VERSION) last = std::move(next);
    REQUIRE(last->session() != nullptr);
  }
}

TEST_CASE("a folder that is not there is said once") {
  tls::CertificateFolder certificates("/no/such/folder");
  auto look = certificates.look();
  REQUIRE(look.problems.size() == 1);
  CHECK_THAT(look.problems[0], Catch::StartsWith("cannot read the folder /no/such/folder: "));
  REQUIRE(look.certificates);
  CHECK(look.certificates->empty());
  look = certificates.look();
  CHECK(look.problems.empty());
  CHECK_FALSE(look.certificates);
}

TEST_CASE("a balancer's header tells the visitor's address, before TLS and without it") {
  App app(App::mirror);
  auto options = with_tls();
  options.proxy_protocol = true;
  options.limits.header_time = 500ms;
  Secure loop(options);
  loop.serve({&app});
  const std::string header = "PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n";
  SECTION("plain, in pieces") {
    auto client = loop.client();
    for (const char c : header) client.send(std::string(1, c));
    for (int i = 0; i < 2; ++i) {
      client.send(get);
      CHECK_THAT(client.read_message(), Catch::Contains("X-Forwarded-For: 192.0.2.7\r\n"));
    }
  }
  SECTION("plain, with the request in one") {
    auto client = loop.client();
    client.send(header + get);
    CHECK_THAT(client.read_message(), Catch::Contains("X-Forwarded-For: 192.0.2.7\r\n"));
  }
  SECTION("before TLS") {
    TlsPeer client(loop.tls_port(), {.before = header});
    REQUIRE(client.stands());
    REQUIRE(client.send(get));
    CHECK_THAT(client.read_message(), Catch::Contains("X-Forwarded-For: 192.0.2.7\r\n"));
  }
  SECTION("who says none is not served") {
    auto client = loop.client();
    client.send(get);
    CHECK(client.read_to_end().empty());
    auto silent = loop.client();
    CHECK(silent.closed_by_peer());
    auto half = loop.client();
    half.send("PROXY TCP4");
    half.shutdown_send();
    CHECK(half.closed_by_peer());
    CHECK(app.connections() == 0);
  }
}
