// The PROXY protocol towards instances: real sockets, what an instance reads first.
#include <catch2/catch.hpp>

#include "reverse-proxy/http2_peer.hpp"
#include "reverse-proxy/with_rules.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;
using Catch::StartsWith;

namespace {

/// Takes one header, and answers each request with what it said and the request itself.
void introduced(Peer& peer, int) {
  std::string came;
  std::optional<ProxyHeader> header;
  while (!header) {
    const auto more = peer.read_exactly(1);
    if (more.empty()) return;
    came += more;
    const auto read = read_proxy_header(came);
    if (read.broken) return;
    header = read.header;
  }
  const auto& ends = header->ends;
  for (;;) {
    const auto request = peer.read_message();
    if (request.empty()) return;
    auto text = ends.from + " " + std::to_string(ends.from_port) + " " + ends.to + " " +
                std::to_string(ends.to_port) + "\n" + came.substr(0, 6) + "\n" + came.substr(12) +
                "\n" + request;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" +
              text);
  }
}

std::string rule(const std::string& version) {
  return R"({"instance":{"send_proxy":")" + version + "\"}}";
}

std::uint16_t port_of_peer(int fd) {
  sockaddr_in at{};
  socklen_t size = sizeof at;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
  return ntohs(at.sin_port);
}

std::string first_line(const std::string& message) {
  const auto body = body_of(message);
  return body.substr(0, body.find('\n'));
}

const std::string get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

}  // namespace

TEST_CASE("an instance is told whose connection it is, and gets a new one for each request") {
  App app(introduced);
  Loopback loop;
  const auto version = GENERATE("v1", "v2");
  loop.use({with_rules({&app}, rule(version))});
  auto told = [&](const Peer& peer) {
    return "127.0.0.1 " + std::to_string(port_of_peer(peer.fd())) + " 127.0.0.1 " +
           std::to_string(loop.proxy.port());
  };
  auto one = loop.client();
  auto two = loop.client();
  for (int i = 0; i < 3; ++i) {
    for (auto* peer : {&one, &two}) {
      peer->send(get);
      const auto answer = peer->read_message();
      CHECK(first_line(answer) == told(*peer));
      CHECK_THAT(answer, Contains("\r\nConnection: close\r\n"));
    }
  }
  CHECK(app.connections() == 6);
  CHECK(eventually([&] { return app.closed() == 6; }));
  CHECK(loop.metric("backend_reuses_total") == "0");
  // Without the rule they are as before.
  App plain(App::hello("hi"));
  loop.serve({&plain});
  one.send(get);
  CHECK(body_of(one.read_message()) == "hi");
  two.send(get);
  CHECK(body_of(two.read_message()) == "hi");
  CHECK(plain.connections() == 1);
}

TEST_CASE("what a balancer has told of a visitor, an instance is told as well") {
  App app(introduced);
  ProxyOptions options;
  options.proxy_protocol = true;
  Loopback loop(options);
  loop.use({with_rules({&app}, rule("v2"))});
  CHECK(first_line(loop.talk("PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\nGET / HTTP/1.1\r\n"
                             "Host: a.test\r\nConnection: close\r\n\r\n")) ==
        "2001:db8::7 4711 2001:db8::1 443");
  CHECK_THAT(first_line(loop.talk("PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: a.test\r\n"
                                  "Connection: close\r\n\r\n")),
             StartsWith("127.0.0.1 "));
}

TEST_CASE("version 2 tells the host that TLS was for, and the id of the request") {
  App app(introduced);
  SecureLoopback loop;
  loop.use({with_rules({&app}, rule("v2"))});
  Http2Peer peer(loop.proxy.tls_port(), {.protocols = "\x02h2"});
  for (int i = 0; i < 2; ++i) {
    const auto answer = peer.fetch(Http2Peer::get());
    REQUIRE(answer.status() == "200");
    const auto id = answer.field("x-request-id");
    REQUIRE(id.size() == 32);
    CHECK_THAT(answer.body, Contains(std::string("\x02\x00\x06"
                                                 "a.test\x05\x00\x20",
                                                 12) +
                                     id));
  }
  CHECK(app.connections() == 2);
}

TEST_CASE("a request that is sent again is introduced again, and a WebSocket once") {
  App lost([](Peer& peer, int) { (void)peer.read_message(); });
  App app([](Peer& peer, int nth) {
    if (nth > 0) return introduced(peer, nth);
    (void)peer.read_until("\r\n");
    (void)peer.read_head();
    peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    peer.send(peer.read_exactly(4));
  });
  Loopback loop;
  loop.use({with_rules({&app}, rule("v1"))});
  auto client = loop.client();
  client.send(
      "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  CHECK_THAT(client.read_head(), StartsWith("HTTP/1.1 101 "));
  client.send("ping");
  CHECK(client.read_exactly(4) == "ping");
  loop.use({with_rules({&lost, &app}, rule("v1"))});
  CHECK(eventually([&] {
    CHECK_THAT(first_line(loop.get()), StartsWith("127.0.0.1 "));
    return lost.connections() > 0;
  }));
}
