#include <catch2/catch.hpp>

#include "common/json.hpp"
#include "reverse-proxy/http1/forward.hpp"
#include "reverse-proxy/http2/handshake.hpp"
#include "reverse-proxy/http2/request_fields.hpp"
#include "reverse-proxy/http2_peer.hpp"
#include "support/scratch.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;

namespace {

/// Asks for a WebSocket (RFC 8441 §5).
Http2Peer::Fields connect(const Http2Peer::Fields& more = {}) {
  Http2Peer::Fields all{{":method", "CONNECT"}, {":protocol", "websocket"},
                        {":scheme", "https"},   {":authority", "a.test"},
                        {":path", "/chat"},     {"sec-websocket-version", "13"}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::string field_of(const std::string& head, const std::string& name) {
  const auto at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "absent";
  const auto begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

/// Reads the request for a tunnel and switches; returns the request's head.
std::string accept(Peer& peer, const std::string& more = "") {
  const auto head = peer.read_head();
  peer.send(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: " +
      http2::accept_for(field_of(head, "Sec-WebSocket-Key")) + "\r\n\r\n" + more);
  return head;
}

/// Sends back what it gets until the end of it.
void echo(Peer& peer, int) {
  accept(peer);
  for (;;) {
    const auto bytes = peer.read_exactly(1);
    if (bytes.empty() || !peer.send(bytes)) return;
  }
}

/// A WebSocket that stands.
std::int32_t open(Http2Peer& client) {
  const auto id = client.ask(connect(), "", true);
  REQUIRE(client.until([&] { return !client.answer(id).statuses.empty(); }));
  REQUIRE(client.answer(id).status() == "200");
  return id;
}

bool none_open(Loopback& loop) {
  return eventually([&] { return loop.metric("tunnels_open") == "0"; });
}

/// How a head reaches the application, as "METHOD target fields"; its refusal.
std::string asked(const Http2Peer::Fields& fields) {
  http2::RequestFields request;
  for (const auto& [name, value] : fields) request.add(name, value, {});
  http1::RequestHead head;
  const auto refusal = request.finish(true, head);
  if (refusal) return std::to_string(refusal->status) + " " + std::string(refusal->why);
  const auto framing = http1::request_framing(head);
  if (!http1::wants_websocket(head, std::get<http1::Framing>(framing))) return "no WebSocket";
  std::string text = std::string(head.method) + " " + std::string(head.target);
  for (const auto& field : head.fields)
    text += " " + std::string(field.name) + "=" + std::string(field.value);
  return text;
}

}  // namespace

TEST_CASE("CONNECT for a WebSocket becomes HTTP/1.1's request for an upgrade, others are refused") {
  auto with = [](const std::string& pseudo, const std::string& value) {
    auto fields = connect();
    for (auto& [name, old] : fields)
      if (name == pseudo) old = value;
    return fields;
  };
  const std::string plain = "GET /chat host=a.test sec-websocket-version=13";
  CHECK(asked(connect()) == plain);
  CHECK(asked(with(":protocol", "WebSocket")) == plain);
  CHECK(asked(connect({{"sec-websocket-protocol", "chat"}})) ==
        plain + " sec-websocket-protocol=chat");
  // A key of the visitor's would be answered beside ours.
  CHECK(asked(connect({{"sec-websocket-key", "k"}, {"sec-websocket-accept", "a"}})) == plain);
  CHECK(asked(with(":protocol", "connect-udp")) ==
        "501 CONNECT is offered for the protocol websocket only");
  CHECK(asked(with(":method", "GET")) == "400 :protocol is for CONNECT only");
  CHECK(asked(with(":path", "http://b.test/")) == "400 the request target must begin with /");
  CHECK(asked(connect({{"content-length", "5"}})) == "400 a tunnel has no Content-Length");
  CHECK(asked(connect({{"upgrade", "websocket"}})) ==
        "400 HTTP/2 has no fields about the connection");
  CHECK(asked(connect({{"transfer-encoding", "chunked"}})) ==
        "400 HTTP/2 has no fields about the connection");
}

TEST_CASE("an application's answer to our handshake is taken only when it belongs to our key") {
  // The example of RFC 6455 §1.3.
  CHECK(http2::accept_for("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  const http2::Handshake handshake(1, 2);
  const std::string key(handshake.field().value);
  CHECK(key.size() == 24);
  const auto right = http2::accept_for(key);
  auto objection = [&](int status, std::string_view accept) {
    http1::ResponseHead head;
    head.status = status;
    if (!accept.empty()) head.fields.push_back({"Sec-WebSocket-Accept", accept});
    return std::string(handshake.objection(head));
  };
  CHECK(objection(101, right).empty());
  const std::string wrong = "its Sec-WebSocket-Accept does not answer the key of the handshake";
  CHECK(objection(101, "") == wrong);
  CHECK(objection(101, right.substr(1)) == wrong);
  CHECK(objection(101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == wrong);
  CHECK(objection(403, "").empty());
  CHECK(objection(302, "").empty());
  CHECK(objection(200, right) ==
        "it answers the handshake of a WebSocket with success, but not with 101");
}

TEST_CASE("a WebSocket that comes by HTTP/2 is a tunnel in both directions") {
  std::string head;
  std::atomic<bool> ended{false};
  App app([&](Peer& peer, int) {
    // The first message comes together with the head.
    head = accept(peer, "welcome");
    for (;;) {
      const auto frame = peer.read_exactly(4);
      if (frame.size() < 4) break;
      peer.send("<" + frame + ">");
    }
    ended = true;
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto id = client.ask(connect({{"sec-websocket-protocol", "chat"}}), "", true);
  auto said = [&](const std::string& text) {
    return client.until([&] { return client.answer(id).body == text; });
  };
  REQUIRE(said("welcome"));
  // A client may ask only after these settings (RFC 8441 §3).
  CHECK(nghttp2_session_get_remote_settings(client.session(),
                                            NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1);
  const auto& answer = client.answer(id);
  CHECK(answer.statuses == std::vector<std::string>{"200"});
  CHECK(answer.field("sec-websocket-protocol") == "chat");
  CHECK(answer.field("x-request-id").size() == 32);
  for (const auto* none : {"sec-websocket-accept", "connection", "upgrade", "content-length"})
    CHECK(answer.field(none) == "absent");
  client.add(id, "ab", true);
  client.add(id, "cd", true);
  CHECK(said("welcome<abcd>"));
  CHECK(loop.metric("tunnels_open") == "1");
  CHECK(loop.metric("tunnels_total") == "1");
  client.add(id, "", false);
  CHECK(client.wait(id).closed);
  CHECK(client.answer(id).error == NGHTTP2_NO_ERROR);
  CHECK(eventually([&] { return ended.load(); }));
  CHECK(none_open(loop));
  CHECK_THAT(head, Catch::StartsWith("GET /chat HTTP/1.1\r\nHost: a.test\r\n"));
  CHECK_THAT(head, Catch::Contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"));
  CHECK_THAT(head, Catch::Contains("\r\nsec-websocket-version: 13\r\n"));
  CHECK_THAT(head, !Catch::Contains("chunked") && !Catch::Contains("CONNECT"));
  // The connection goes on, with another tunnel.
  const auto next = open(client);
  CHECK(client.until([&] { return client.answer(next).body == "welcome"; }));
}

TEST_CASE("large messages pass unchanged through a tunnel of HTTP/2, also many at once") {
  App app([](Peer& peer, int) {
    accept(peer);
    const auto text = peer.read_exactly(3'000'000);
    peer.send(text);
    (void)peer.read_to_end();
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto text = letters(3'000'000);
  std::vector<std::int32_t> tunnels;
  for (int i = 0; i < 3; ++i) tunnels.push_back(open(client));
  for (const auto id : tunnels) client.add(id, text, true);
  for (const auto id : tunnels) {
    REQUIRE(client.until([&] { return client.answer(id).body.size() >= text.size(); }));
    CHECK((client.answer(id).body == text));
  }
}

TEST_CASE("a slow end of a tunnel of HTTP/2 holds the other one back") {
  std::atomic<bool> read_on{false};
  std::atomic<std::size_t> sent{0};
  std::atomic<bool> held_back{false};
  App app([&](Peer& peer, int) {
    const auto head = accept(peer);
    if (head.find("x-talk: 1") == std::string::npos) {
      (void)eventually([&] { return read_on.load(); });
      peer.send(peer.read_exactly(8'000'000).size() == 8'000'000 ? "all" : "less");
      return;
    }
    const std::string piece(50'000, 'x');
    while (sent < 50'000'000 && !held_back) {
      const auto taken = peer.send_some(piece, 500ms);
      sent += taken;
      held_back = taken < piece.size();
    }
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  SECTION("the application") {
    const auto id = open(client);
    client.add(id, letters(8'000'000), true);
    // What neither the windows nor the application's socket take is still here.
    while (client.flush() && nghttp2_session_get_remote_window_size(client.session()) > 0 &&
           nghttp2_session_get_stream_remote_window_size(client.session(), id) > 0) {
    }
    CHECK(client.answer(id).body.empty());
    read_on = true;
    CHECK(client.until([&] { return client.answer(id).body == "all"; }));
  }
  SECTION("the visitor") {
    client.ask(connect({{"x-talk", "1"}}), "", true);
    REQUIRE(eventually([&] { return held_back.load(); }));
    CHECK(sent < 30'000'000);
  }
}

TEST_CASE("an application that does not switch leaves the visitor with an answer and no tunnel") {
  std::string say;
  App app([&](Peer& peer, int) {
    while (!peer.read_head().empty()) peer.send(say);
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  struct Case {
    std::string said;
    std::string status;
    std::string body;
  };
  const std::string switches =
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ";
  for (const auto& c : {
           Case{"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "403", "no"},
           Case{"HTTP/1.1 302 Found\r\nLocation: /in\r\nContent-Length: 0\r\n\r\n", "302", ""},
           // By HTTP/2 that would say that the tunnel stands.
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "502", "with success"},
           Case{switches + "websocket\r\nSec-WebSocket-Accept: x\r\n\r\n", "502", "Accept"},
           Case{switches + "h2c\r\n\r\n", "502", "not asked for"},
       }) {
    INFO(c.said);
    say = c.said;
    const auto id = client.ask(connect(), "too early", true);
    const auto& answer = client.wait(id);
    CHECK(answer.status() == c.status);
    CHECK_THAT(answer.body, Catch::Contains(c.body));
    CHECK(answer.error == NGHTTP2_NO_ERROR);
  }
  CHECK(loop.metric("tunnels_total") == "0");
  auto other = connect();
  other[1].second = "connect-udp";
  CHECK(client.wait(client.ask(other, "", true)).status() == "501");
  auto nowhere = connect();
  nowhere[3].second = "b.test";
  CHECK(client.wait(client.ask(nowhere, "", true)).status() == "404");
}

TEST_CASE("a visitor who resets the stream of his tunnel, or goes, ends it and no other") {
  std::atomic<int> ended{0};
  App app([&](Peer& peer, int nth) {
    echo(peer, nth);
    ++ended;
  });
  SecureLoopback loop;
  loop.serve({&app});
  {
    Http2Peer client(loop.proxy.tls_port());
    const auto first = open(client);
    const auto second = open(client);
    client.reset(first);
    CHECK(eventually([&] { return ended == 1; }));
    CHECK(eventually([&] { return loop.metric("tunnels_open") == "1"; }));
    client.add(second, "still", true);
    CHECK(client.until([&] { return client.answer(second).body == "still"; }));
  }
  CHECK(eventually([&] { return ended == 2; }));
  CHECK(none_open(loop));
}

TEST_CASE(
    "an application that ends a tunnel of HTTP/2 ends its stream, and one that breaks it off "
    "resets it") {
  const bool orderly = GENERATE(true, false);
  auto options = with_tls();
  options.limits.linger_time = 300ms;
  App app([&](Peer& peer, int) {
    accept(peer);
    (void)peer.read_exactly(3);
    if (orderly)
      peer.send("last words");
    else
      peer.reset();
  });
  SecureLoopback loop(options);
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto id = open(client);
  client.add(id, "bye", true);
  const auto& answer = client.wait(id);
  CHECK(answer.closed);
  CHECK(answer.body == (orderly ? "last words" : ""));
  CHECK(answer.error == (orderly ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL));
  CHECK(none_open(loop));
}

TEST_CASE("a visitor who has said all still gets what the application has to say") {
  App app([](Peer& peer, int) {
    accept(peer);
    const auto all = peer.read_to_end();
    peer.send("heard: " + all);
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto id = open(client);
  client.add(id, "that is all", false);
  const auto& answer = client.wait(id);
  CHECK(answer.body == "heard: that is all");
  CHECK(answer.error == NGHTTP2_NO_ERROR);
}

TEST_CASE("an end that has said all does not hold the tunnel open for ever, nor does silence") {
  auto options = with_tls();
  options.limits.linger_time = 300ms;
  options.limits.tunnel_time = 600ms;
  // A tunnel has its own patience.
  options.limits.client_time = 200ms;
  std::atomic<bool> over{false};
  App app([&](Peer& peer, int) {
    const auto head = accept(peer);
    if (head.find("x-end: 1") != std::string::npos) peer.shutdown_send();
    (void)eventually([&] { return over.load(); });
  });
  SecureLoopback loop(options);
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto begun = std::chrono::steady_clock::now();
  SECTION("the application") {
    const auto id = client.ask(connect({{"x-end", "1"}}), "", true);
    CHECK(client.wait(id).closed);
    CHECK(client.answer(id).error == NGHTTP2_NO_ERROR);
  }
  SECTION("the visitor") {
    const auto id = open(client);
    client.add(id, "", false);
    CHECK(client.wait(id).closed);
    CHECK(client.answer(id).error == NGHTTP2_CANCEL);
  }
  SECTION("neither says anything") {
    const auto id = open(client);
    CHECK(client.wait(id).closed);
    CHECK(client.answer(id).error == NGHTTP2_CANCEL);
    CHECK(std::chrono::steady_clock::now() - begun >= 600ms);
  }
  CHECK(none_open(loop));
  over = true;
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
}

TEST_CASE("anything but data within a tunnel of HTTP/2 resets it") {
  App app(echo);
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto id = open(client);
  nghttp2_nv field{};
  std::string name = "x";
  field.name = reinterpret_cast<std::uint8_t*>(name.data());
  field.namelen = 1;
  nghttp2_submit_headers(client.session(), NGHTTP2_FLAG_END_STREAM, id, nullptr, &field, 1,
                         nullptr);
  client.flush();
  CHECK(client.wait(id).error == NGHTTP2_PROTOCOL_ERROR);
  CHECK(none_open(loop));
}

TEST_CASE("a proxy that drains lets the tunnels of HTTP/2 go on, and then cuts them") {
  auto options = with_tls();
  options.limits.linger_time = 300ms;
  App app(echo);
  SecureLoopback loop(options);
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto id = open(client);
  loop.proxy.drain();
  CHECK(client.until([&] { return client.going_away(); }));
  client.add(id, "still here", true);
  CHECK(client.until([&] { return client.answer(id).body == "still here"; }));
  SECTION("it ends in time") {
    client.add(id, "", false);
    CHECK(client.wait(id).error == NGHTTP2_NO_ERROR);
    CHECK(loop.proxy.stop(10s) == 0);
  }
  SECTION("it does not") {
    CHECK(loop.proxy.stop(300ms) == 1);
  }
}

TEST_CASE("a WebSocket by HTTP/2 has its line in the access log as others have") {
  const test::ScratchFolder folder;
  const auto file = folder / "access.log";
  App app(echo);
  {
    auto log = AccessLog::open(file.string());
    REQUIRE(log);
    Proxy proxy(with_tls(), **log);
    REQUIRE(proxy.start());
    const auto certificate = tls::Certificate::from_pem(bundle({"a.test"}));
    REQUIRE(certificate);
    proxy.use(std::make_shared<tls::CertificateSet>(
        std::vector<tls::CertificateSet::Shared>{*certificate}, nullptr));
    const auto table = RouteTable::from({1, {Loopback::a_route("a.test", {&app})}, 0});
    REQUIRE(table);
    REQUIRE(proxy.use(*table));
    Http2Peer client(proxy.tls_port());
    const auto id = open(client);
    client.add(id, "four", true);
    CHECK(client.until([&] { return client.answer(id).body == "four"; }));
    client.add(id, "", false);
    CHECK(client.wait(id).closed);
    proxy.stop(5s);
  }
  const auto line = nlohmann::json::parse(test::read_file(file));
  CHECK(line["method"] == "GET");
  CHECK(line["target"] == "/chat");
  CHECK(line["scheme"] == "https");
  CHECK(line["status"] == 101);
  CHECK(line["instance"] == "vm-" + app.address());
  CHECK_FALSE(line.contains("error"));
  CHECK(line["bytes_in"].get<int>() > 4);
  CHECK(line["bytes_out"].get<int>() > 4);
}
