#include <catch2/catch.hpp>

#include "common/crypto/digest.hpp"
#include "common/json.hpp"
#include "reverse-proxy/client_authority.hpp"
#include "reverse-proxy/http2_peer.hpp"
#include "reverse-proxy/with_rules.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;
using Catch::StartsWith;
using nlohmann::json;

namespace {

std::string asks(const std::string& ca, const std::string& mode = "required",
                 json more = json::object()) {
  more["client_certificates"] = {{"ca", ca}, {"mode", mode}};
  return more.dump();
}

wire::Route route(const std::string& host, const App& app, const std::string& rules) {
  auto made = Loopback::a_route(host, {&app});
  if (!rules.empty()) made.rules = wire::SharedRules(rules_of(rules));
  return made;
}

/// A proxy with a certificate for a.test and b.test.
struct Guarded : SecureLoopback {
  explicit Guarded(ProxyOptions options = {})
      : SecureLoopback(std::move(options), {"a.test", "b.test"}) {}
  /// What a new connection for @p wish.name gets for @p host; empty: it does not come to stand.
  std::string ask(const TlsPeer::Wish& wish, const std::string& host = "a.test") const {
    TlsPeer peer(proxy.tls_port(), wish);
    return ask(peer, host);
  }
  static std::string ask(TlsPeer& peer, const std::string& host = "a.test",
                         const std::string& more = "") {
    if (!peer.stands() || !peer.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n" + more + "\r\n"))
      return "";
    return peer.read_message();
  }
};

std::string client_cert(const std::string& pem) {
  const auto made = crypto::read_certificates(pem);
  if (!made) throw std::runtime_error(made.error().message());
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(made->front().get(), &bytes);
  const std::string der(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return "\r\nClient-Cert: :" + crypto::base64_encode(der) + ":\r\n";
}

int version() {
  return GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
}

}  // namespace

TEST_CASE("who shows a certificate of the application's authority is let in, and named to it") {
  const Authority ours("ours");
  const auto anna = ours.issue();
  App app(App::mirror);
  Guarded loop;
  loop.use({route("a.test", app, asks(ours.certificate()))});
  const auto newest = version();
  TlsPeer peer(loop.proxy.tls_port(), {.newest = newest, .shows = anna});
  const auto seen = Guarded::ask(peer, "a.test",
                                 "Client-Cert: :Zm9yZ2Vk:\r\nClient_Cert: :Zm9yZ2Vk:\r\n"
                                 "Client-Cert-Chain: :Zm9yZ2Vk:\r\n");
  CHECK_THAT(seen, StartsWith("HTTP/1.1 200 ") && Contains(client_cert(anna)));
  CHECK_THAT(seen, !Contains("Zm9yZ2Vk"));
  // Also to the next request of the connection.
  CHECK_THAT(Guarded::ask(peer), Contains(client_cert(anna)));
}

TEST_CASE("who shows no certificate, or one that the authority has not made, is not let in") {
  const Authority ours("ours");
  const Authority theirs("theirs");
  // Of the same name.
  const Authority forged("ours");
  App app(App::hello("hi"));
  Guarded loop;
  loop.use({route("a.test", app, asks(ours.certificate()))});
  const auto newest = version();
  auto shown = [&](const std::string& papers) {
    return loop.ask({.newest = newest, .shows = papers});
  };
  CHECK(shown("").empty());
  CHECK(shown(theirs.issue()).empty());
  CHECK(shown(forged.issue()).empty());
  CHECK(shown(ours.issue({.to_s = -60})).empty());
  CHECK(shown(ours.issue({.from_s = 600})).empty());
  CHECK(shown(ours.issue({.uses = "serverAuth"})).empty());
  CHECK(shown(ours.issue({.uses = "codeSigning"})).empty());
  CHECK(app.connections() == 0);
  CHECK(loop.metric("client_certificates_refused_total") == "7");
  CHECK(loop.metric("tls_handshake_failures_total") == "7");
  // RFC 5280 §4.2.1.12: without the extension the key is for anything.
  CHECK(body_of(shown(ours.issue({.uses = ""}))) == "hi");
  CHECK(loop.metric("client_certificates_refused_total") == "7");
}

TEST_CASE("certificates between the visitor's and the authority are followed, four of them") {
  const Authority root("root");
  std::vector<Authority> below;
  below.reserve(5);
  for (int i = 0; i < 5; ++i)
    below.emplace_back("below " + std::to_string(i), i == 0 ? &root : &below.back());
  App app(App::hello("hi"));
  Guarded loop;
  loop.use({route("a.test", app, asks(root.certificate()))});
  auto chain = [&](std::size_t many) {
    auto papers = below[many - 1].issue();
    for (auto i = many; i-- > 0;) papers += below[i].certificate();
    return papers;
  };
  CHECK(body_of(loop.ask({.shows = chain(1)})) == "hi");
  CHECK(body_of(loop.ask({.shows = chain(4)})) == "hi");
  CHECK(loop.ask({.shows = chain(5)}).empty());
  // Without those between it leads nowhere.
  CHECK(loop.ask({.shows = below[0].issue()}).empty());
  // One of them may be all that is given as the authority.
  loop.use({route("a.test", app, asks(below[0].certificate()))});
  CHECK(body_of(loop.ask({.shows = below[0].issue()})) == "hi");
  CHECK(loop.ask({.shows = root.issue()}).empty());
}

TEST_CASE("where a certificate is optional, who has none is let in, and who has a wrong one not") {
  const Authority ours("ours");
  const auto anna = ours.issue();
  App app(App::mirror);
  Guarded loop;
  loop.use({route("a.test", app, asks(ours.certificate(), "optional"))});
  const auto newest = version();
  CHECK_THAT(loop.ask({.newest = newest}), StartsWith("HTTP/1.1 200 ") && !Contains("Client-Cert"));
  CHECK_THAT(loop.ask({.newest = newest, .shows = anna}), Contains(client_cert(anna)));
  CHECK(loop.ask({.newest = newest, .shows = Authority("theirs").issue()}).empty());
}

TEST_CASE("visitors of other applications are not asked, and their word for it is not passed on") {
  const Authority ours("ours");
  App app(App::mirror);
  Guarded loop;
  loop.use({route("a.test", app, asks(ours.certificate())), route("b.test", app, "")});
  TlsPeer peer(loop.proxy.tls_port(), {.name = "b.test", .shows = ours.issue()});
  const auto seen = Guarded::ask(peer, "b.test", "Client-Cert: :Zm9yZ2Vk:\r\n");
  CHECK_THAT(seen, StartsWith("HTTP/1.1 200 ") && !Contains("Client-Cert"));
}

TEST_CASE("by http nobody is let in where a certificate is wanted") {
  const Authority ours("ours");
  App app(App::hello("hi"));
  ProxyOptions options;
  options.trust_forwarded = true;
  Guarded loop(options);
  auto guarded = route("a.test", app, asks(ours.certificate(), GENERATE("required", "optional")));
  loop.use({guarded});
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 403 ") && Contains("https"));
  // Not even with a word for it.
  CHECK_THAT(loop.get("/", "X-Forwarded-Proto: https\r\nClient-Cert: :Zm9yZ2Vk:\r\n"),
             StartsWith("HTTP/1.1 403 "));
  guarded.force_https = true;
  loop.use({guarded});
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 301 ") && Contains("\r\nLocation: https://a.test:"));
  CHECK(app.connections() == 0);
}

TEST_CASE("a connection for another host is of no use where a certificate is wanted") {
  const Authority ours("ours");
  App app(App::mirror);
  Guarded loop;
  loop.use({route("a.test", app, asks(ours.certificate())), route("b.test", app, "")});
  TlsPeer peer(loop.proxy.tls_port(), {.name = "b.test", .shows = ours.issue()});
  CHECK_THAT(Guarded::ask(peer, "a.test"), StartsWith("HTTP/1.1 421 Misdirected Request\r\n"));
  // It stays one for its own host.
  CHECK_THAT(Guarded::ask(peer, "b.test"), StartsWith("HTTP/1.1 200 "));
  // Nor is one without a name.
  auto nameless = bundle({"a.test"});
  loop.proxy.use(std::make_shared<tls::CertificateSet>(std::vector<tls::CertificateSet::Shared>{},
                                                       *tls::Certificate::from_pem(nameless)));
  CHECK_THAT(loop.ask({.name = "", .shows = ours.issue()}), StartsWith("HTTP/1.1 421 "));
  CHECK_THAT(loop.ask({.name = "c.test", .shows = ours.issue()}), StartsWith("HTTP/1.1 421 "));
  // A name in other letters is the same.
  CHECK_THAT(loop.ask({.name = "A.Test", .shows = ours.issue()}), StartsWith("HTTP/1.1 200 "));
  CHECK(loop.ask({.name = "A.Test"}).empty());
}

TEST_CASE("HTTP/2: streams for another host get 421, and the connection goes on") {
  const Authority ours("ours");
  const auto anna = ours.issue();
  App app(App::mirror);
  Guarded loop;
  loop.use({route("a.test", app, asks(ours.certificate())), route("b.test", app, "")});
  Http2Peer other(loop.proxy.tls_port(), {.name = "b.test", .protocols = "\x02h2", .shows = anna});
  CHECK(other.fetch(Http2Peer::get("/", "a.test")).status() == "421");
  const auto fine = other.fetch(Http2Peer::get("/", "b.test"));
  CHECK(fine.status() == "200");
  CHECK_THAT(fine.body, !Contains("Client-Cert"));
  CHECK_FALSE(other.going_away());
  Http2Peer own(loop.proxy.tls_port(), {.protocols = "\x02h2", .shows = anna});
  CHECK_THAT(own.fetch(Http2Peer::get()).body, Contains(client_cert(anna)));
  // On the same connection the other application does not hear who he is.
  const auto coalesced = own.fetch(Http2Peer::get("/", "b.test"));
  CHECK(coalesced.status() == "200");
  CHECK_THAT(coalesced.body, !Contains("Client-Cert"));
}

TEST_CASE("hosts of one application are one, those of two with the same authority are not") {
  const Authority ours("ours");
  App app(App::mirror);
  Guarded loop;
  auto a = route("a.test", app, asks(ours.certificate()));
  auto b = route("b.test", app, asks(ours.certificate()));
  loop.use({a, b});
  TlsPeer first(loop.proxy.tls_port(), {.shows = ours.issue()});
  CHECK_THAT(Guarded::ask(first, "b.test"), StartsWith("HTTP/1.1 421 "));
  b.app_id = a.app_id;
  loop.use({a, b});
  TlsPeer second(loop.proxy.tls_port(), {.shows = ours.issue()});
  CHECK_THAT(Guarded::ask(second, "b.test"), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("new authorities hold for the next handshake and for the next request") {
  const Authority before("before");
  const Authority after("after");
  const auto anna = before.issue();
  App app(App::hello("hi"));
  Guarded loop;
  loop.use({route("a.test", app, asks(before.certificate()))});
  TlsPeer old(loop.proxy.tls_port(), {.shows = anna});
  Http2Peer old2(loop.proxy.tls_port(), {.protocols = "\x02h2", .shows = anna});
  CHECK(body_of(Guarded::ask(old)) == "hi");
  CHECK(old2.fetch(Http2Peer::get()).status() == "200");
  // Another rule of theirs changes nothing.
  loop.use(
      {route("a.test", app, asks(before.certificate(), "required", {{"in_hand", {{"app", 9}}}}))});
  CHECK(body_of(Guarded::ask(old)) == "hi");
  loop.use({route("a.test", app, asks(after.certificate()))});
  CHECK_THAT(Guarded::ask(old),
             StartsWith("HTTP/1.1 421 ") && Contains("\r\nConnection: close\r\n"));
  CHECK(old2.fetch(Http2Peer::get()).status() == "421");
  CHECK(old2.until([&] { return old2.going_away(); }));
  CHECK(loop.ask({.shows = anna}).empty());
  CHECK(body_of(loop.ask({.shows = after.issue()})) == "hi");
}

TEST_CASE("a rule that comes, or becomes stricter, holds on connections that stand") {
  const Authority ours("ours");
  App app(App::hello("hi"));
  Guarded loop;
  loop.use({route("a.test", app, "")});
  TlsPeer unasked(loop.proxy.tls_port(), {.shows = ours.issue()});
  CHECK(body_of(Guarded::ask(unasked)) == "hi");
  loop.use({route("a.test", app, asks(ours.certificate(), "optional"))});
  CHECK_THAT(Guarded::ask(unasked), StartsWith("HTTP/1.1 421 "));
  TlsPeer bare(loop.proxy.tls_port());
  CHECK(body_of(Guarded::ask(bare)) == "hi");
  loop.use({route("a.test", app, asks(ours.certificate()))});
  CHECK_THAT(Guarded::ask(bare), StartsWith("HTTP/1.1 403 "));
  loop.use({route("a.test", app, "")});
  CHECK(body_of(Guarded::ask(bare)) == "hi");
}

TEST_CASE(
    "who comes back resumes with his certificate, where it is still the one that is asked for") {
  const Authority ours("ours");
  const auto anna = ours.issue();
  App app(App::mirror);
  Guarded loop;
  const auto newest = version();
  const auto guarded = route("a.test", app, asks(ours.certificate()));
  loop.use({guarded});
  TlsPeer first(loop.proxy.tls_port(), {.newest = newest, .shows = anna});
  CHECK_THAT(Guarded::ask(first), Contains(client_cert(anna)));
  REQUIRE(first.session() != nullptr);
  auto again = [&](const std::string& name, const std::string& papers, bool& resumed) {
    TlsPeer peer(loop.proxy.tls_port(),
                 {.name = name, .newest = newest, .session = first.session(), .shows = papers});
    auto seen = Guarded::ask(peer, name);
    resumed = peer.stands() && peer.resumed();
    return seen;
  };
  bool resumed = false;
  // Without showing it: the session has it.
  CHECK_THAT(again("a.test", "", resumed), Contains(client_cert(anna)));
  CHECK(resumed);
  SECTION("not for another authority") {
    loop.use({route("a.test", app, asks(Authority("after").certificate()))});
    CHECK(again("a.test", "", resumed).empty());
    CHECK_FALSE(resumed);
    // Back again, so is he.
    loop.use({guarded});
    CHECK_THAT(again("a.test", "", resumed), Contains(client_cert(anna)));
  }
  SECTION("not for another application, whoever has made its certificates") {
    loop.use({guarded, route("b.test", app, asks(ours.certificate()))});
    CHECK(again("b.test", "", resumed).empty());
    CHECK_FALSE(resumed);
    CHECK_THAT(again("b.test", ours.issue(), resumed), StartsWith("HTTP/1.1 200 "));
    CHECK_FALSE(resumed);
  }
  SECTION("not where nothing is asked, and not from there") {
    loop.use({guarded, route("b.test", app, "")});
    CHECK_THAT(again("b.test", "", resumed),
               StartsWith("HTTP/1.1 200 ") && !Contains("Client-Cert"));
    CHECK_FALSE(resumed);
    TlsPeer plain(loop.proxy.tls_port(), {.name = "b.test", .newest = newest});
    CHECK_THAT(Guarded::ask(plain, "b.test"), StartsWith("HTTP/1.1 200 "));
    REQUIRE(plain.session() != nullptr);
    CHECK(loop.ask({.newest = newest, .session = plain.session()}).empty());
  }
  SECTION("not from when it was optional to when it is required") {
    loop.use({route("a.test", app, asks(ours.certificate(), "optional"))});
    TlsPeer bare(loop.proxy.tls_port(), {.newest = newest});
    CHECK_THAT(Guarded::ask(bare), StartsWith("HTTP/1.1 200 "));
    REQUIRE(bare.session() != nullptr);
    loop.use({guarded});
    CHECK(loop.ask({.newest = newest, .session = bare.session()}).empty());
  }
}

TEST_CASE(
    "a certificate that has ended meanwhile is worth nothing, on its connection and resumed") {
  const Authority ours("ours");
  App app(App::hello("hi"));
  Guarded loop;
  const auto newest = version();
  loop.use({route("a.test", app, asks(ours.certificate()))});
  // Of the chain it is the one in the middle that ends first: a ticket does not hold that one.
  const Authority middle("middle", &ours, {.to_s = 2});
  const auto papers = middle.issue() + middle.certificate();
  TlsPeer peer(loop.proxy.tls_port(), {.newest = newest, .shows = papers});
  REQUIRE(peer.stands());
  CHECK(body_of(Guarded::ask(peer)) == "hi");
  REQUIRE(peer.session() != nullptr);
  std::string seen;
  CHECK(eventually([&] {
    seen = Guarded::ask(peer);
    return status_of(seen) != "200";
  }));
  CHECK_THAT(seen, StartsWith("HTTP/1.1 421 ") && Contains("\r\nConnection: close\r\n"));
  CHECK(loop.ask({.newest = newest, .session = peer.session()}).empty());
}

TEST_CASE("applications that share a host by path are asked for by the longest path's rule") {
  const Authority ours("ours");
  App site(App::hello("site"));
  App admin(App::hello("admin"));
  Guarded loop;
  auto below = route("a.test", admin, asks(ours.certificate()));
  below.path = "/admin/";
  below.app_id = "app_admin";
  loop.use({route("a.test", site, ""), below});
  TlsPeer bare(loop.proxy.tls_port());
  CHECK(body_of(Guarded::ask(bare)) == "site");
  REQUIRE(bare.send("GET /admin/x HTTP/1.1\r\nHost: a.test\r\n\r\n"));
  CHECK_THAT(bare.read_message(), StartsWith("HTTP/1.1 403 "));
  TlsPeer anna(loop.proxy.tls_port(), {.shows = ours.issue()});
  REQUIRE(anna.send("GET /admin/x HTTP/1.1\r\nHost: a.test\r\n\r\n"));
  CHECK(body_of(anna.read_message()) == "admin");
}

TEST_CASE("a certificate authority that asks whether a name is ours is asked for none") {
  const Authority ours("ours");
  App app(App::hello("hi"));
  Guarded loop;
  loop.use({route("a.test", app, asks(ours.certificate()))});
  std::vector<std::string> left_out;
  REQUIRE(loop.proxy.use(std::make_shared<const tls::Challenges>(
      std::vector<wire::AcmeChallenge>{{"tls-alpn-01", "a.test", "t", "key"},
                                       {"http-01", "a.test", "t", "key"}},
      left_out)));
  TlsPeer authority(loop.proxy.tls_port(), {.protocols = "\x0a"
                                                         "acme-tls/1"});
  CHECK(authority.stands());
  CHECK(authority.read_to_end().empty());
  CHECK(authority.ended_cleanly());
  CHECK(body_of(loop.get("/.well-known/acme-challenge/t")) == "key");
  // Others that say the same protocol among theirs are visitors.
  CHECK(loop.ask({.protocols = "\x0a"
                               "acme-tls/1\x08http/1.1"})
            .empty());
  CHECK(app.connections() == 0);
}

TEST_CASE("a second hello of the handshake is asked as the first was") {
  const Authority ours("ours");
  App app(App::hello("hi"));
  Guarded loop;
  loop.use({route("a.test", app, asks(ours.certificate()))});
  // It offers a key of a group that the proxy does not take, so it has to say hello again.
  CHECK(body_of(loop.ask({.shows = ours.issue(), .groups = "P-521:P-256"})) == "hi");
  CHECK(loop.ask({.groups = "P-521:P-256"}).empty());
}

TEST_CASE("the access log tells whom a handshake has refused, why, and whose application it was") {
  struct Kept : AccessSink {
    void write(const AccessRecord& record) override {
      const std::lock_guard lock(mutex);
      text = fmt::format("{} {} {} {} {}", record.app, record.host, record.client, record.tls,
                         record.error);
    }
    std::uint64_t dropped() const override { return 0; }
    std::string last() {
      const std::lock_guard lock(mutex);
      return text;
    }
    std::mutex mutex;
    std::string text;
  };
  const Authority ours("ours");
  App app(App::hello("hi"));
  Kept kept;
  Guarded loop;
  loop.log.also_tell(&kept);
  loop.use({route("a.test", app, asks(ours.certificate()))});
  CHECK(loop.ask({.shows = ours.issue({.to_s = -60})}).empty());
  CHECK(eventually([&] {
    return kept.last() ==
           "app_a.test a.test 127.0.0.1 true rule: client_certificates: certificate has expired";
  }));
  CHECK(loop.ask({}).empty());
  CHECK(eventually(
      [&] { return kept.last().ends_with("rule: client_certificates: none was shown"); }));
  loop.proxy.stop(0ms);
  loop.log.also_tell(nullptr);
}
