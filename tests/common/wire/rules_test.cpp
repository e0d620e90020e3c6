#include <catch2/catch.hpp>

#include "common/wire/json.hpp"
#include "common/wire/routes.hpp"

using namespace karreg::wire;
using nlohmann::json;

namespace {
const std::string bcrypt = "$2b$10$abcdefghijklmnopqrstuuVbXoP0Fe9KZsAcNDmUXfEo3KUVJyVnC";

/// Why @p text is refused; "fine" when it is not.
std::string refusal(const std::string& text) {
  const auto rules = read_rules(json::parse(text));
  return rules ? "fine" : rules.error().message();
}

const char* const all_of_them = R"({
  "redirects": [
    {"prefix": "/old/", "to": "/new/", "status": 301},
    {"host": "www.example.org", "to": "https://example.org", "status": 308, "keep_query": false}],
  "addresses": {"allow": ["10.0.0.0/8", "2001:db8::/32"], "deny": ["10.1.0.0/16"]},
  "basic_auth": {"realm": "Staging", "users": {"anna": "$2b$10$abcdefghijklmnopqrstuuVbXoP0Fe9KZsAcNDmUXfEo3KUVJyVnC"},
                 "except": ["/health", "/hooks/"], "forward": true},
  "rate": {"client": {"requests": 10, "seconds": 1, "burst": 20}, "app": {"requests": 500, "seconds": 2, "burst": 500}},
  "in_hand": {"app": 100, "client": 10, "instance": 40},
  "max_body_bytes": 1048576,
  "maintenance": {"on": true, "html": "<h1>soon</h1>", "retry_after_s": 600, "allow": ["192.0.2.1"]},
  "error_pages": {"502": "<h1>oh</h1>", "503": "<h1>no</h1>"},
  "security_headers": {"preset": "strict", "replace": {"X-Frame-Options": "SAMEORIGIN", "Content-Security-Policy": ""}},
  "request_headers": {"remove": ["X-Debug"], "set": {"X-Edge": "1"}, "add": {"X-More": "a"}},
  "response_headers": {"remove": ["Server"], "set": {"Cache-Control": "no-store"}, "add": {"X-By": "us"}},
  "compression": {"codings": ["br", "gzip"], "min_bytes": 500},
  "instance": {"protocol": "https", "name": "inside.example", "send_proxy": "v2"}})";

/// A certificate that signs itself.
const std::string authority = R"(-----BEGIN CERTIFICATE-----
MIIBijCCAS+gAwIBAgIUJSKA7ZFUGtBMrdEAKxxoT2K6NzowCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOaW5zaWRlLmV4YW1wbGUwIBcNMjYxMTI3MTA1OTI4WhgPMjEy
NjExMDMxMDU5MjhaMBkxFzAVBgNVBAMMDmluc2lkZS5leGFtcGxlMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAETN0csoN2jpCaYBp0E1gUhzWMk0qHisfeI/2ygzpz
DAy0ZiXmDj2nOaHsT7PKzKSplLpI4NhWW7+Z4JQX0QhBeKNTMFEwHQYDVR0OBBYE
FP+QTDnpADlfRsrKR01cA1yZqcbmMB8GA1UdIwQYMBaAFP+QTDnpADlfRsrKR01c
A1yZqcbmMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAIg6RJdq
dkd6Fl7FINCAmCNMh02cLJDC8x+HVYrUUU65AiEA+tGvrFJwcerbVtrrYDXkreQR
0OrMQtjQpxD1mR5y1pA=
-----END CERTIFICATE-----
)";
}  // namespace

TEST_CASE("a set of rules is written as it was read") {
  const auto rules = read_rules(json::parse(all_of_them));
  REQUIRE(rules);
  CHECK(rules_json(*rules) == json::parse(all_of_them));
  const auto none = read_rules(json::object());
  REQUIRE(none);
  CHECK(*none == Rules());
  CHECK(rules_json(*none) == json::object());
}

TEST_CASE("what a rule does not say has its documented value") {
  const auto rules = read_rules(json::parse(
      R"({"redirects":[{"path":"/a","to":"/b"}],"rate":{"client":{"requests":5}},"compression":{},"maintenance":{}})"));
  REQUIRE(rules);
  CHECK(rules->redirects[0].status == 302);
  CHECK(rules->redirects[0].keep_query);
  CHECK(rules->rate.client == Rate{5, 1, 5});
  CHECK(rules->compression->codings == std::vector<std::string>{"zstd", "br", "gzip"});
  CHECK(rules->compression->min_bytes == 1024);
  CHECK_FALSE(rules->maintenance->on);
}

TEST_CASE("a rule that cannot be kept is refused with its place, its value and what is allowed") {
  struct Case {
    const char* rules;
    const char* why;
  };
  const auto c = GENERATE(values<Case>({
      {R"([])", "rules: the set of rules is [], but must be an object"},
      {R"({"redirect":[]})",
       "rules: redirect is not known; there are: addresses, basic_auth, client_certificates, "
       "compression, error_pages, in_hand, instance, maintenance, max_body_bytes, rate, redirects, "
       "request_headers, response_headers, "
       "security_headers"},
      {R"({"redirects":[{"path":"/a","to":"/b"},{"path":"/a","to":"/b","status":200}]})",
       "rules: redirects[1].status is 200, but must be a whole number from 301 to 308"},
      {R"({"redirects":[{"path":"/a","to":"/b","status":304}]})",
       "rules: redirects[0].status is 304, but must be 301, 302, 303, 307 or 308"},
      {R"({"redirects":[{"path":"/a"}]})", "rules: redirects[0].to is \"\", but must say where to"},
      {R"({"redirects":[{"to":"/b"}]})",
       "rules: redirects[0] is {\"to\":\"/b\"}, but must have a host, a path or a prefix"},
      {R"({"redirects":[{"path":"/a","prefix":"/a/","to":"/b"}]})",
       "rules: redirects[0].path is \"/a\", but must not stand beside a prefix"},
      {R"({"redirects":[{"prefix":"/a","to":"/b"}]})",
       "rules: redirects[0].prefix is \"/a\", but must end with \"/\""},
      {R"({"redirects":[{"prefix":"/a/","to":"/a/b"}]})",
       "rules: redirects[0].to is \"/a/b\", but must not lead to what it redirects, for ever"},
      {R"({"redirects":[{"host":"a.test","to":"https://a.test"}]})",
       "rules: redirects[0].to is \"https://a.test\", but must not lead to what it redirects, for "
       "ever"},
      {R"({"redirects":[{"host":"a.test","path":"/x","to":"http://A.test/x?y"}]})",
       "rules: redirects[0].to is \"http://A.test/x?y\", but must not lead to what it redirects, "
       "for ever"},
      {R"({"addresses":{"allow":["10.0.0.1/8"]}})",
       "rules: addresses.allow[0] is \"10.0.0.1/8\", but must be an address or a range of them "
       "like "
       "192.0.2.0/24 or 2001:db8::/32, without bits behind its length"},
      {R"({"addresses":{"allow":["10.0.0.0/8"],"deny":["10.0.0.0/8"]}})",
       "rules: addresses.deny is \"10.0.0.0/8\", but must not be allowed and denied at once"},
      {R"({"basic_auth":{"users":{"anna":"secret"}}})",
       "rules: basic_auth.users[\"anna\"] is \"(not shown)\", but must be a hash of the password, "
       "not the password: bcrypt ($2b$, cost 4 to 12) or SHA-512 crypt ($6$, 1000 to 100000 "
       "rounds), as `karreg rules password` prints it"},
      {R"({"basic_auth":{}})", "rules: basic_auth.users is {}, but must name a user at least"},
      {R"({"rate":{"client":{"requests":0}}})",
       "rules: rate.client.requests is 0, but must be a whole number from 1 to 100000"},
      {R"({"rate":{"client":{}}})",
       "rules: rate.client.requests is null, but must be a whole number from 1 to 100000"},
      {R"({"rate":{"client":{"requests":1,"seconds":3600,"burst":25}}})",
       "rules: rate.client.burst is 25, but must be no more than what the rate lets pass in a day "
       "(86400 s)"},
      {R"({"in_hand":{"app":1.5}})",
       "rules: in_hand.app is 1.5, but must be a whole number from 1 to 100000"},
      {R"({"instance":{"send_proxy":"v3"}})",
       "rules: instance.send_proxy is \"v3\", but must be none, v1 or v2"},
      {R"({"max_body_bytes":18446744073709551615})",
       "rules: max_body_bytes is 18446744073709551615, but must be a whole number from 1 to "
       "1099511627776"},
      {R"({"maintenance":{"on":"yes"}})",
       "rules: maintenance.on is \"yes\", but must be true or false"},
      {R"({"maintenance":{"till":5}})",
       "rules: maintenance.till is not known; there are: allow, html, on, retry_after_s"},
      {R"({"error_pages":{"404":"x"}})",
       "rules: error_pages[\"404\"] is \"404\", but must be a status that the proxy itself gives: "
       "401, 403, 408, 413, 429, 502, 503 or 504"},
      {R"({"instance":{"protocol":"h2c","send_proxy":"v1"}})",
       "rules: instance.send_proxy is \"v1\", but must be none beside the protocol h2c or h2, "
       "whose "
       "connections visitors share"},
      {R"({"instance":{"protocol":"http2"}})",
       "rules: instance.protocol is \"http2\", but must be http1, h2c, https or h2"},
      {R"({"instance":{"protocol":"h2c","name":"inside.example"}})",
       "rules: instance.name is \"inside.example\", but must stand beside the protocol https or "
       "h2"},
      {R"({"instance":{"protocol":"h2","name":"Inside"}})",
       "rules: instance.name is \"Inside\", but must be a host name in lower case without a port"},
      {R"({"instance":{"protocol":"h2","ca":"/etc/ssl/ca.pem"}})",
       "rules: instance.ca is \"/etc/ssl/ca.pem\", but must be PEM: \"-----BEGIN "
       "CERTIFICATE-----\" "
       "and so on"},
      {R"({"security_headers":{"preset":"high"}})",
       "rules: security_headers.preset is \"high\", but must be none, basic or strict"},
      {R"({"request_headers":{"set":{"Content-Length":"5"}}})",
       "rules: request_headers.set[\"Content-Length\"] is \"Content-Length\", but must not be a "
       "field that the proxy keeps itself, about the framing, the connection or where a request "
       "came from"},
      {R"({"response_headers":{"add":{"X-A":"a\r\nb"}}})",
       "rules: response_headers.add[\"X-A\"] is \"a\\r\\nb\", but must be at most 4096 bytes "
       "without "
       "control characters, and no space at either end"},
      {R"({"compression":{"codings":["gzip","deflate"]}})",
       "rules: compression.codings[1] is \"deflate\", but must be gzip, br or zstd"},
  }));
  CHECK(refusal(c.rules) == c.why);
}

TEST_CASE("a redirect leads to a path or a site, never to what a browser reads otherwise") {
  auto to = [](const std::string& url) {
    return refusal(json{{"redirects", {{{"path", "/a"}, {"to", url}}}}}.dump()) == "fine";
  };
  for (const char* fine : {"/", "/b?x=1", "https://example.org", "http://example.org:8080/x/",
                           "https://Example.org/a#b"})
    CHECK(to(fine));
  for (const char* bad : {"", "b", "//evil.org", "/\\evil.org", "javascript:alert(1)", "https://",
                          "https:///x", "https://u:p@example.org/", "ftp://a.org",
                          "https://example.org:x/", "/a b", "https://example.org\n"})
    CHECK_FALSE(to(bad));
}

TEST_CASE("only hashes that are meant for passwords, and that a proxy can afford, are taken") {
  auto hash = [](const std::string& text) {
    return refusal(json{{"basic_auth", {{"users", {{"u", text}}}}}}.dump()) == "fine";
  };
  const std::string digest(86, 'a');
  CHECK(hash(bcrypt));
  CHECK(hash("$6$salt$" + digest));
  CHECK(hash("$6$rounds=100000$salt$" + digest));
  CHECK_FALSE(hash("$6$rounds=999999999$salt$" + digest));
  CHECK_FALSE(hash("$6$$" + digest));
  CHECK_FALSE(hash("$2b$31$" + bcrypt.substr(7)));
  CHECK_FALSE(hash(bcrypt + "x"));
  CHECK_FALSE(hash("$1$salt$qJH7.N4xYta3aEG/dfqo/0"));
  CHECK_FALSE(hash("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="));
}

TEST_CASE("fields that are the proxy's cannot be set, however they are written") {
  auto set = [](const char* direction, const std::string& name) {
    return refusal(json{{direction, {{"set", {{name, "x"}}}}}}.dump()) == "fine";
  };
  for (const char* name :
       {"host", "Transfer-Encoding", "connection", "X-Forwarded-For", "X_Forwarded_For",
        "Client-Cert", "Client_Cert_Chain", "Expect", "x-request-id", "", "a b", ":path"})
    CHECK_FALSE(set("request_headers", name));
  for (const char* name : {"Transfer-Encoding", "content-encoding", "Content-Length", "Upgrade"})
    CHECK_FALSE(set("response_headers", name));
  CHECK(set("request_headers", "Authorization"));
  CHECK(set("response_headers", "Server"));
}

TEST_CASE("more rules than travel well are refused") {
  json pages;
  for (const char* status : {"403", "413", "429", "502", "503"})
    pages[status] = std::string(16'000, 'x');
  const auto rules = read_rules({{"error_pages", pages}});
  REQUIRE_FALSE(rules);
  CHECK(rules.error().kind() == karreg::ErrorKind::too_large);
  CHECK_THAT(rules.error().message(), Catch::Contains("but may be 65536"));
  json redirects = json::array();
  for (int i = 0; i < 201; ++i)
    redirects.push_back({{"path", "/" + std::to_string(i)}, {"to", "/"}});
  CHECK(refusal(json{{"redirects", redirects}}.dump()) ==
        "rules: redirects has 201 entries, but may have 200");
}

TEST_CASE("a backend says its weight where that is not the plain one") {
  const auto plain = from_text<Backend>(R"({"instance_id":"i","address":"a:1"})", "Backend");
  REQUIRE(plain);
  CHECK(*plain == Backend{"i", "a:1", 100});
  CHECK(json(*plain) == json{{"instance_id", "i"}, {"address", "a:1"}});
  for (const int weight : {0, 10, 1000}) {
    const Backend heavy{"i", "a:1", weight};
    CHECK(json(heavy)["weight"] == weight);
    CHECK(json(heavy).get<Backend>() == heavy);
  }
}

TEST_CASE("a route of before there were rules has none, and one with rules keeps them") {
  const auto old =
      from_text<Route>(R"({"host":"a","path":"/","app_id":"x","backends":[]})", "Route");
  REQUIRE(old);
  CHECK_FALSE(old->rules);
  CHECK_FALSE(json(*old).contains("rules"));
  Route route = *old;
  route.rules = SharedRules(*read_rules(json::parse(all_of_them)));
  const auto back = from_text<Route>(to_text(route), "Route");
  REQUIRE(back);
  CHECK(*back == route);
  CHECK(*back != *old);
}

TEST_CASE("rules that a route has and that cannot be read are told, not dropped") {
  const auto route = from_text<Route>(R"({"host":"a","rules":{"addreses":{}}})", "Route");
  REQUIRE(route);
  CHECK_FALSE(route->rules);
  CHECK_THAT(route->rules.unreadable(), Catch::StartsWith("rules: addreses is not known"));
}

TEST_CASE("the authorities of instances are certificates and nothing else") {
  const auto with = [](const std::string& ca) {
    const auto rules = read_rules({{"instance", {{"protocol", "https"}, {"ca", ca}}}});
    return rules ? "fine" : rules.error().message();
  };
  CHECK(with(authority) == "fine");
  CHECK(with("inside.example:\n" + authority + "\n" + authority) == "fine");
  const auto rules = read_rules({{"instance", {{"protocol", "https"}, {"ca", authority}}}});
  REQUIRE(rules);
  CHECK(rules_json(*rules) == json{{"instance", {{"protocol", "https"}, {"ca", authority}}}});
  CHECK_THAT(with(authority + "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n"),
             Catch::Contains("must not have a private key"));
  auto broken = authority;
  broken.replace(60, 4, "####");
  CHECK_THAT(with(broken), Catch::Contains("a certificate in it cannot"));
  std::string many;
  for (int i = 0; i < 11; ++i) many += authority;
  CHECK_THAT(with(many), Catch::Contains("must not have more than 10 certificates"));
  CHECK_THAT(with(std::string(20'000, '\n') + authority), Catch::Contains("at most 16384 bytes"));
  CHECK_THAT(with(""), Catch::Contains("must be PEM"));
  CHECK_THAT(with(authority.substr(0, 100)), Catch::Contains("must be PEM"));
  CHECK_THAT(refusal(R"({"instance":{"protocol":"http1","ca":"x"}})"),
             Catch::Contains("must be PEM"));
}
