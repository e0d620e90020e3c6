// What a certificate authority sees when it asks whether a name is ours, on real sockets.
#include "reverse-proxy/tls/challenges.hpp"

#include <catch2/catch.hpp>

#include "common/crypto/certificate.hpp"
#include "common/crypto/digest.hpp"
#include "reverse-proxy/tls_peer.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;

namespace {

const std::string key_authorization = "LoqXcYV8.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9";
/// As ALPN sends a list of one.
const std::string acme_alone =
    "\x0a"
    "acme-tls/1";

std::shared_ptr<const tls::CertificateSet> set_of(const std::string& pem) {
  return std::make_shared<tls::CertificateSet>(std::vector{tls::Certificate::from_pem(pem).value()},
                                               nullptr);
}

std::shared_ptr<const tls::Challenges> challenges(const std::vector<wire::AcmeChallenge>& all) {
  std::vector<std::string> left_out;
  auto made = std::make_shared<const tls::Challenges>(all, left_out);
  CHECK(left_out.empty());
  return made;
}

ProxyOptions two_workers() {
  ProxyOptions options;
  options.workers = 2;
  return with_tls(options);
}

std::string get(const Loopback& loop, const std::string& host, const std::string& path) {
  auto peer = Peer::connect(loop.proxy.port());
  peer.send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
  return peer.read_message();
}

const std::string asked_for = "/.well-known/acme-challenge/LoqXcYV8";

}  // namespace

TEST_CASE("a challenge by http is answered for its host and token only, before routing") {
  Loopback loop(two_workers());
  // No route yet: a certificate may be the first that a name gets.
  REQUIRE(loop.proxy.use(challenges({{"http-01", "new.test", "LoqXcYV8", key_authorization}})));
  const auto seen = get(loop, "New.Test:80", asked_for);
  CHECK(status_of(seen) == "200");
  CHECK(body_of(seen) == key_authorization);
  CHECK_THAT(seen, Catch::Contains("Content-Type: application/octet-stream\r\n"));
  CHECK(status_of(get(loop, "other.test", asked_for)) == "503");
  CHECK(status_of(get(loop, "new.test", asked_for + "x")) == "503");
  REQUIRE(loop.proxy.use(challenges({})));
  CHECK(status_of(get(loop, "new.test", asked_for)) == "503");
}

TEST_CASE("an application that forces https is asked by http all the same, and may have its own") {
  App app(App::hello("the application's own"));
  Loopback loop(two_workers());
  auto route = Loopback::a_route("a.test", {&app});
  loop.use({route});
  REQUIRE(loop.proxy.use(challenges({{"http-01", "a.test", "LoqXcYV8", key_authorization}})));
  CHECK(body_of(get(loop, "a.test", "/.well-known/acme-challenge/other")) ==
        "the application's own");
  route.force_https = true;
  loop.use({route});
  CHECK(body_of(get(loop, "a.test", asked_for)) == key_authorization);
  CHECK(status_of(get(loop, "a.test", "/.well-known/acme-challenge/other")) == "301");
}

TEST_CASE("a challenge by TLS is answered with a certificate that holds its digest (RFC 8737)") {
  Loopback loop(two_workers());
  loop.proxy.use(set_of(bundle({"a.test"}, "for visitors")));
  REQUIRE(loop.proxy.use(challenges({{"tls-alpn-01", "a.test", "t", key_authorization}})));
  for (int i = 0; i < 6; ++i) {
    TlsPeer authority(loop.proxy.tls_port(), {.name = "A.test", .protocols = acme_alone});
    REQUIRE(authority.stands());
    CHECK(authority.protocol() == "acme-tls/1");
    const auto shown = crypto::read_certificates(authority.certificate()).value();
    CHECK(crypto::dns_names(*shown.front()) == std::vector<std::string>{"a.test"});
    const Handle<ASN1_OBJECT, ASN1_OBJECT_free> identifier(OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1));
    const auto at = X509_get_ext_by_OBJ(shown.front().get(), identifier.get(), -1);
    REQUIRE(at >= 0);
    auto* extension = X509_get_ext(shown.front().get(), at);
    CHECK(X509_EXTENSION_get_critical(extension) == 1);
    const auto* value = X509_EXTENSION_get_data(extension);
    const std::string der(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                          static_cast<std::size_t>(ASN1_STRING_length(value)));
    CHECK(crypto::to_hex(der) == "0420" + crypto::sha256_hex(key_authorization));
    // Nothing more is said there.
    CHECK(authority.read_to_end().empty());
    CHECK(authority.ended_cleanly());
  }
}

TEST_CASE("visitors see nothing of a challenge by TLS") {
  App app(App::hello("hi"));
  Loopback loop(two_workers());
  loop.serve({&app});
  loop.proxy.use(set_of(bundle({"a.test"}, "for visitors")));
  REQUIRE(loop.proxy.use(challenges({{"tls-alpn-01", "a.test", "t", key_authorization}})));
  TlsPeer visitor(loop.proxy.tls_port(), {.name = "a.test", .protocols = "\x08http/1.1"});
  CHECK(visitor.subject() == "for visitors");
  REQUIRE(visitor.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
  CHECK(body_of(visitor.read_message()) == "hi");
  // The protocol beside others is no challenge (RFC 8737 §3), nor is one for another host.
  TlsPeer beside(loop.proxy.tls_port(),
                 {.name = "a.test", .protocols = acme_alone + "\x08http/1.1"});
  CHECK(beside.subject() == "for visitors");
  CHECK(beside.protocol() == "http/1.1");
  CHECK_FALSE(TlsPeer(loop.proxy.tls_port(), {.name = "b.test", .protocols = acme_alone}).stands());
  CHECK_FALSE(TlsPeer(loop.proxy.tls_port(), {.name = "", .protocols = acme_alone}).stands());
  REQUIRE(loop.proxy.use(challenges({})));
  CHECK_FALSE(TlsPeer(loop.proxy.tls_port(), {.name = "a.test", .protocols = acme_alone}).stands());
}

TEST_CASE("challenges that make no sense are left out and named") {
  std::vector<std::string> left_out;
  const tls::Challenges made({{"dns-01", "a.test", "t", "x"},
                              {"http-01", "a.test/evil", "t", "x"},
                              {"tls-alpn-01", "a.test,DNS:b.test", "t", "x"},
                              {"http-01", "good.test", "t", "x"}},
                             left_out);
  CHECK(left_out ==
        std::vector<std::string>{"challenge for \"a.test\": its kind \"dns-01\" is not known",
                                 "challenge for \"a.test/evil\": this is no host",
                                 "challenge for \"a.test,DNS:b.test\": this is no host"});
  REQUIRE(made.http_answer("good.test", "/.well-known/acme-challenge/t") != nullptr);
  CHECK_FALSE(made.has_tls());
}

TEST_CASE("of two sets the first wins for every host that it has, also by a wildcard") {
  const auto certificate = [](const std::vector<std::string>& names, const std::string& subject) {
    return tls::Certificate::from_pem(bundle(names, subject)).value();
  };
  const tls::CertificateSet operators({certificate({"*.apps.test", "a.test"}, "operator")},
                                      certificate({"default.test"}, "default"));
  const auto platform = certificate({"x.apps.test", "a.test", "b.test"}, "platform");
  const tls::CertificateSet merged(operators, {platform});
  CHECK(merged.find("a.test") == operators.find("a.test"));
  CHECK(merged.find("x.apps.test") == operators.find("y.apps.test"));
  CHECK(merged.find("b.test") == platform);
  CHECK(merged.find("c.test") == operators.find("c.test"));
  const tls::CertificateSet alone(tls::CertificateSet(), {platform});
  CHECK(alone.find("x.apps.test") == platform);
  CHECK(alone.find("c.test") == nullptr);
}
