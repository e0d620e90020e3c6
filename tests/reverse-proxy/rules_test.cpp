#include <catch2/catch.hpp>

#include "reverse-proxy/http2_peer.hpp"
#include "reverse-proxy/loopback.hpp"
#include "reverse-proxy/with_rules.hpp"

using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;

TEST_CASE("an application without rules is served beside one that has some") {
  App app(App::hello("hi"));
  Loopback loop;
  auto plain = Loopback::a_route("b.test", {&app});
  loop.use({with_rules({&app}, R"({"addresses":{"allow":["10.0.0.0/8"]}})"), plain});
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 403 "));
  auto client = loop.client();
  client.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
  CHECK(body_of(client.read_message()) == "hi");
}

TEST_CASE("a redirect answers in place of the application, and the connection goes on") {
  App app(App::hello("hi"));
  Loopback loop;
  loop.use({with_rules({&app}, R"({"redirects":[{"prefix":"/old/","to":"/new/","status":308}]})")});
  auto client = loop.client();
  client.send("GET /old/a?b HTTP/1.1\r\nHost: a.test\r\n\r\n");
  CHECK_THAT(client.read_message(), StartsWith("HTTP/1.1 308 Permanent Redirect\r\n") &&
                                        Contains("\r\nLocation: /new/a?b\r\n"));
  client.send("GET /new/a HTTP/1.1\r\nHost: a.test\r\n\r\n");
  CHECK(body_of(client.read_message()) == "hi");
  CHECK(loop.metric("by_rules_total") == "1");
}

TEST_CASE("who comes from where the application is not open is refused, by his true address") {
  App app(App::hello("hi"));
  ProxyOptions options;
  options.trust_forwarded = true;
  Loopback loop(options);
  loop.use({with_rules({&app}, R"({"addresses":{"allow":["198.51.100.0/24"]}})")});
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 403 "));
  CHECK(body_of(loop.get("/", "X-Forwarded-For: 198.51.100.7\r\n")) == "hi");
  // What stands before it, the visitor may have written.
  CHECK_THAT(loop.get("/", "X-Forwarded-For: 198.51.100.7, 203.0.113.1\r\n"),
             StartsWith("HTTP/1.1 403 "));
  CHECK_THAT(loop.get("/", "X-Forwarded-For: nonsense\r\n"), StartsWith("HTTP/1.1 403 "));
}

TEST_CASE("under maintenance visitors see the owner's page, and the owner sees the application") {
  App app(App::hello("hi"));
  Loopback loop;
  const std::string soon =
      R"({"maintenance":{"on":true,"html":"<h1>soon</h1>","retry_after_s":600)";
  loop.use({with_rules({&app}, soon + "}}")});
  const auto page = loop.get();
  CHECK_THAT(page, StartsWith("HTTP/1.1 503 ") && Contains("\r\nRetry-After: 600\r\n") &&
                       Contains("\r\nContent-Type: text/html; charset=utf-8\r\n") &&
                       EndsWith("\r\n\r\n<h1>soon</h1>"));
  // A program that speaks JSON is told in JSON.
  CHECK_THAT(loop.get("/", "Accept: application/json\r\n"),
             StartsWith("HTTP/1.1 503 ") && Contains("\"id\":503"));
  loop.use({with_rules({&app}, soon + R"(,"allow":["127.0.0.0/8"]}})")});
  CHECK(body_of(loop.get()) == "hi");
  loop.use({with_rules({&app}, R"({"maintenance":{"on":false,"html":"<h1>soon</h1>"}})")});
  CHECK(body_of(loop.get()) == "hi");
}

TEST_CASE("a body over the application's bound is refused before it is sent, by its length") {
  App app(App::mirror);
  Loopback loop;
  loop.use({with_rules({&app}, R"({"max_body_bytes":10})")});
  auto fits = loop.client();
  fits.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\n0123456789");
  CHECK_THAT(fits.read_message(), StartsWith("HTTP/1.1 200 ") && EndsWith("0123456789"));
  auto expecting = loop.client();
  expecting.send(
      "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
  CHECK_THAT(expecting.read_message(),
             StartsWith("HTTP/1.1 413 Content Too Large\r\n") && Contains("at most 10 bytes"));
  CHECK(app.connections() == 1);
}

TEST_CASE("a body without a length is refused when it passes the application's bound") {
  // It waits for the end of a request before it answers.
  App app(App::mirror);
  Loopback loop;
  loop.use({with_rules({&app}, R"({"max_body_bytes":10})")});
  auto client = loop.client();
  client.send(
      "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n");
  client.send("1\r\nx\r\n");
  CHECK_THAT(client.read_message(), StartsWith("HTTP/1.1 413 "));
  CHECK(client.closed_by_peer());
  auto fits = loop.client();
  fits.send(
      "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: "
      "chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n");
  CHECK_THAT(fits.read_message(), StartsWith("HTTP/1.1 200 ") && Contains("0123456789"));
}

TEST_CASE("the owner's page stands in place of the proxy's own, with the fields of the rules") {
  Loopback loop;
  loop.use({with_rules({}, R"({"error_pages":{"503":"<h1>asleep</h1>"},
      "response_headers":{"set":{"X-By":"us","Content-Type":"text/css"}},
      "security_headers":{"preset":"basic"}})")});
  const auto page = loop.get("/", "Accept: text/html\r\n");
  CHECK_THAT(page, StartsWith("HTTP/1.1 503 ") && EndsWith("<h1>asleep</h1>") &&
                       Contains("\r\nX-By: us\r\n") &&
                       Contains("\r\nX-Content-Type-Options: nosniff\r\n") &&
                       Contains("\r\nContent-Type: text/html; charset=utf-8\r\n"));
  CHECK_THAT(page, !Contains("text/css"));
  auto client = loop.client();
  client.send("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  client.shutdown_send();
  CHECK_THAT(client.read_to_end(), Contains("\r\nContent-Length: 15\r\n") && EndsWith("\r\n\r\n"));
}

TEST_CASE("header rules change what the application and the visitor see") {
  App app([](Peer& peer, int) {
    for (;;) {
      const auto text = peer.read_message();
      if (text.empty()) return;
      peer.send(
          "HTTP/1.1 200 OK\r\nServer: secret/1.0\r\nX-Frame-Options: DENY\r\nConnection: X-By\r\n"
          "Content-Length: " +
          std::to_string(text.size()) + "\r\n\r\n" + text);
    }
  });
  Loopback loop;
  loop.use({with_rules({&app}, R"({
      "request_headers":{"remove":["X-Debug"],"set":{"X-Edge":"1"}},
      "response_headers":{"remove":["Server"],"set":{"X-By":"us"},"add":{"Vary":"Origin"}},
      "security_headers":{"preset":"basic"}})")});
  const auto answer = loop.get("/", "X-Debug: 1\r\nX-Edge: 0\r\nConnection: x-edge\r\n");
  const auto head = answer.substr(0, answer.find("\r\n\r\n") + 2);
  CHECK_THAT(head, Contains("\r\nX-By: us\r\n") && Contains("\r\nVary: Origin\r\n") &&
                       Contains("\r\nReferrer-Policy: ") &&
                       Contains("\r\nX-Frame-Options: DENY\r\n"));
  CHECK_THAT(head, !Contains("secret") && !Contains("SAMEORIGIN") && !Contains("Strict-Transport"));
  CHECK_THAT(body_of(answer), Contains("\r\nX-Edge: 1\r\n") && !Contains("X-Debug"));
  CHECK_THAT(body_of(answer), !Contains("X-Edge: 0"));
}

TEST_CASE("rules hold for visitors of HTTP/2 as well") {
  App app(App::mirror);
  SecureLoopback loop;
  loop.use({with_rules({&app}, R"({
      "redirects":[{"path":"/a","to":"/b"}],
      "max_body_bytes":10,
      "request_headers":{"set":{"X-Edge":"1"}},
      "response_headers":{"add":{"X-By":"us"}},
      "security_headers":{"preset":"strict"}})")});
  Http2Peer peer(loop.proxy.tls_port());
  const auto away = peer.fetch(Http2Peer::get("/a?q"));
  CHECK(away.status() == "302");
  CHECK(away.field("location") == "/b?q");
  const auto served = peer.fetch(Http2Peer::get("/b"));
  CHECK(served.status() == "200");
  CHECK(served.field("x-by") == "us");
  CHECK(served.field("strict-transport-security") == "max-age=31536000; includeSubDomains");
  CHECK_THAT(served.body, Contains("\r\nX-Edge: 1\r\n"));
  CHECK(peer.fetch(Http2Peer::post({{"content-length", "11"}}), "0123456789x").status() == "413");
  // Without a length.
  const auto id = peer.ask(Http2Peer::post(), "0123456789", true);
  peer.add(id, "x", false);
  CHECK(peer.wait(id).status() == "413");
  CHECK(peer.fetch(Http2Peer::post(), "0123456789").status() == "200");
}

TEST_CASE("rules that change are those of the next request") {
  App app(App::hello("hi"));
  Loopback loop;
  auto client = loop.client();
  auto status = [&] {
    client.send("GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
    return status_of(client.read_message());
  };
  loop.use({with_rules({&app}, "{}")});
  CHECK(status() == "200");
  loop.use({with_rules({&app}, R"({"redirects":[{"path":"/a","to":"/b"}]})")});
  CHECK(status() == "302");
  loop.use({Loopback::a_route("a.test", {&app})});
  CHECK(status() == "200");
}

TEST_CASE("a route whose rules cannot be read is not used, also not without them") {
  const auto route = karreg::wire::from_text<karreg::wire::Route>(
      R"({"host":"a.test","app_id":"a","rules":{"addreses":{"allow":[]}}})", "Route");
  REQUIRE(route);
  const auto table = RouteTable::from({1, {*route}, 0});
  REQUIRE_FALSE(table);
  CHECK_THAT(table.error().message(), StartsWith("route a.test/: rules: addreses is not known"));
}

TEST_CASE("the routes of one application share its rules, which are taken apart once") {
  rules::Registry registry;
  const karreg::wire::SharedRules some(rules_of(R"({"max_body_bytes":10})"));
  const auto first = registry.get("app", some);
  CHECK(registry.get("app", karreg::wire::SharedRules(rules_of(R"({"max_body_bytes":10})"))) ==
        first);
  CHECK(registry.get("app", karreg::wire::SharedRules(rules_of(R"({"max_body_bytes":11})"))) !=
        first);
  CHECK(registry.get("other", some) != first);
  CHECK(registry.get("app", {}) == nullptr);
}
