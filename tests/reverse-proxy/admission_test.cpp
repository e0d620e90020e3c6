#include <catch2/catch.hpp>

#include "common/crypto/digest.hpp"
#include "reverse-proxy/http2_peer.hpp"
#include "reverse-proxy/loopback.hpp"
#include "reverse-proxy/with_rules.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;
using Catch::StartsWith;

namespace {

/// anna's password is "U*U".
constexpr const char* with_password =
    R"({"basic_auth":{"realm":"Staging","except":["/health","/open/"],
        "users":{"anna":"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}}})";

std::string credentials(const std::string& pair) {
  return "Authorization: Basic " + crypto::base64_encode(pair) + "\r\n";
}

/// Answers when it is told to.
class PatientApp {
 public:
  PatientApp()
      : app([this](Peer& peer, int) {
          while (!peer.read_message().empty()) {
            ++waiting;
            eventually([this] { return answers.load(); });
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
          }
        }) {}
  std::atomic<int> waiting{0};
  std::atomic<bool> answers{false};
  App app;
};

}  // namespace

TEST_CASE("a visitor is asked for a password, and served with the right one, which stays here") {
  App app(App::mirror);
  Loopback loop;
  loop.use({with_rules({&app}, with_password)});
  auto client = loop.client();
  auto ask = [&](const std::string& more) {
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n" + more + "\r\n");
    return client.read_message();
  };
  CHECK_THAT(ask(""),
             StartsWith("HTTP/1.1 401 ") &&
                 Contains("\r\nWWW-Authenticate: Basic realm=\"Staging\", charset=\"UTF-8\"\r\n"));
  CHECK_THAT(ask(credentials("anna:wrong")), StartsWith("HTTP/1.1 401 ") && Contains("Wrong"));
  CHECK_THAT(ask(credentials("bert:U*U")), StartsWith("HTTP/1.1 401 ") && Contains("Wrong"));
  CHECK_THAT(ask("Authorization: Bearer x\r\n"), StartsWith("HTTP/1.1 401 "));
  // Twice: the second time it is known.
  for (int i = 0; i < 2; ++i)
    CHECK_THAT(ask(credentials("anna:U*U")),
               StartsWith("HTTP/1.1 200 ") && !Contains("Authorization"));
  // What was right for anna is not for another name or password.
  CHECK_THAT(ask(credentials("bert:U*U")), StartsWith("HTTP/1.1 401 "));
  CHECK_THAT(ask(credentials("anna:u*u")), StartsWith("HTTP/1.1 401 "));
  CHECK(loop.metric("by_rules_total") == "6");
}

TEST_CASE("a password that is no longer the user's lets nobody in, though it was known") {
  App app(App::hello("hi"));
  Loopback loop;
  loop.use({with_rules({&app}, with_password)});
  CHECK_THAT(loop.get("/", credentials("anna:U*U")), StartsWith("HTTP/1.1 200 "));
  loop.use({with_rules({&app}, R"({"basic_auth":{"users":{"anna":
      "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"}}})")});
  CHECK_THAT(loop.get("/", credentials("anna:U*U")), StartsWith("HTTP/1.1 401 "));
}

TEST_CASE("paths that need no password leave the Authorization field to the application") {
  App app(App::mirror);
  Loopback loop;
  loop.use({with_rules({&app}, with_password)});
  CHECK_THAT(loop.get("/health", "Authorization: Bearer x\r\n"),
             StartsWith("HTTP/1.1 200 ") && Contains("Authorization: Bearer x\r\n"));
  CHECK_THAT(loop.get("/open/../admin"), StartsWith("HTTP/1.1 401 "));
}

TEST_CASE("a proxy that stops while passwords are compared loses no visitor's request") {
  App app(App::hello("hi"));
  Loopback loop;
  loop.use({with_rules({&app}, with_password)});
  std::vector<Peer> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(loop.client());
    clients.back().send("GET / HTTP/1.1\r\nHost: a.test\r\n" + credentials("anna:U*U") + "\r\n");
  }
  loop.proxy.stop(10s);
  for (auto& client : clients) CHECK(body_of(client.read_message()) == "hi");
}

TEST_CASE("who comes too fast is told when to come again, on whichever connection and protocol") {
  App app(App::hello("hi"));
  ProxyOptions options;
  options.workers = 2;
  SecureLoopback loop(options);
  loop.use({with_rules({&app}, R"({"rate":{"client":{"requests":3,"seconds":3600}}})")});
  for (int i = 0; i < 3; ++i) CHECK(status_of(loop.get()) == "200");
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 429 Too Many Requests\r\n") &&
                             Contains("\r\nRetry-After: 1200\r\n"));
  Http2Peer peer(loop.proxy.tls_port());
  CHECK(peer.fetch(Http2Peer::get()).status() == "429");
  // What was counted goes on when other rules change, and routes with them.
  loop.use({with_rules({&app}, R"({"rate":{"client":{"requests":3,"seconds":3600}},
      "response_headers":{"set":{"X-By":"us"}}})")});
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 429 ") && Contains("\r\nX-By: us\r\n"));
}

TEST_CASE("an application has its rate whoever comes, and each visitor his own") {
  App app(App::hello("hi"));
  ProxyOptions options;
  options.trust_forwarded = true;
  Loopback loop(options);
  auto from = [&](const std::string& address) {
    return status_of(loop.get("/", "X-Forwarded-For: " + address + "\r\n"));
  };
  loop.use({with_rules({&app}, R"({"rate":{"client":{"requests":1,"seconds":3600},
      "app":{"requests":2,"seconds":3600}}})")});
  CHECK(from("192.0.2.1") == "200");
  CHECK(from("192.0.2.1") == "429");
  CHECK(from("192.0.2.2") == "200");
  CHECK(from("192.0.2.3") == "429");
}

TEST_CASE("more requests at once than the application's owner allows are refused, not queued") {
  PatientApp patient;
  Loopback loop;
  loop.use({with_rules({&patient.app}, R"({"in_hand":{"app":2}})")});
  std::vector<Peer> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(loop.client());
    clients.back().send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  }
  REQUIRE(eventually([&] { return patient.waiting == 2; }));
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 503 ") && Contains("\r\nRetry-After: 1\r\n"));
  patient.answers = true;
  for (auto& client : clients) CHECK(status_of(client.read_message()) == "200");
  CHECK(status_of(loop.get()) == "200");
}

TEST_CASE("one visitor has no more requests in hand than allowed, over HTTP/2 as well") {
  PatientApp patient;
  SecureLoopback loop;
  loop.use({with_rules({&patient.app}, R"({"in_hand":{"client":2}})")});
  Http2Peer peer(loop.proxy.tls_port());
  const auto first = peer.ask(Http2Peer::get());
  const auto second = peer.ask(Http2Peer::get());
  REQUIRE(eventually([&] { return patient.waiting == 2; }));
  CHECK(peer.fetch(Http2Peer::get()).status() == "429");
  // Who leaves gives his place back.
  peer.reset(second);
  REQUIRE(eventually([&] { return loop.metric("client_left_total") == "1"; }));
  const auto third = peer.ask(Http2Peer::get());
  REQUIRE(eventually([&] { return patient.waiting == 3; }));
  patient.answers = true;
  CHECK(peer.wait(first).status() == "200");
  CHECK(peer.wait(third).status() == "200");
}
