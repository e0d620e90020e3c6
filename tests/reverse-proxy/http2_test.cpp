#include <catch2/catch.hpp>

#include "reverse-proxy/http1/body.hpp"
#include "reverse-proxy/http2/request_fields.hpp"
#include "reverse-proxy/http2_peer.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;

namespace {

/// Refusal of a head, or "none".
std::string refusal_of(const Http2Peer::Fields& fields, bool has_body = false) {
  http2::RequestFields request;
  for (const auto& [name, value] : fields) request.add(name, value, {});
  http1::RequestHead head;
  const auto refusal = request.finish(has_body, head);
  return refusal ? std::to_string(refusal->status) + " " + std::string(refusal->why) : "none";
}

}  // namespace

TEST_CASE("who can speak HTTP/2 does, and who cannot is served by HTTP/1.1") {
  App app(App::mirror);
  SecureLoopback loop;
  loop.serve({&app});
  CHECK(TlsPeer(loop.proxy.tls_port(), {.protocols = "\x02h2\x08http/1.1"}).protocol() == "h2");
  CHECK(TlsPeer(loop.proxy.tls_port(), {.protocols = "\x08http/1.1"}).protocol() == "http/1.1");
  CHECK(TlsPeer(loop.proxy.tls_port()).protocol().empty());
}

TEST_CASE("a request comes by HTTP/2 and reaches the application as one of HTTP/1.1") {
  App app(App::mirror);
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  auto fields = Http2Peer::get("/a/b?c=d");
  fields.emplace_back("user-agent", "a test");
  fields.emplace_back("cookie", "one=1");
  fields.emplace_back("cookie", "two=2");
  fields.emplace_back("x-forwarded-for", "8.8.8.8");
  const auto answer = client.fetch(fields);
  CHECK(answer.status() == "200");
  CHECK(answer.error == 0);
  CHECK(answer.field("x-request-id").size() == 32);
  CHECK(answer.field("content-length") == std::to_string(answer.body.size()));
  const auto& seen = answer.body;
  CHECK_THAT(seen, Catch::StartsWith("GET /a/b?c=d HTTP/1.1\r\nHost: a.test\r\n"));
  CHECK_THAT(seen, Catch::Contains("user-agent: a test\r\n"));
  CHECK_THAT(seen, Catch::Contains("cookie: one=1; two=2\r\n"));
  CHECK_THAT(seen, Catch::Contains("X-Forwarded-Proto: https\r\n"));
  CHECK_THAT(seen, Catch::Contains("X-Forwarded-For: 127.0.0.1\r\n"));
  CHECK_THAT(seen, !Catch::Contains("8.8.8.8"));
  CHECK_THAT(seen, !Catch::Contains(":authority"));
}

TEST_CASE("many requests of one connection are in hand at once and answered as they are ready") {
  std::atomic<bool> release{false};
  App app([&](Peer& peer, int) {
    for (;;) {
      const auto text = peer.read_message();
      if (text.empty()) return;
      if (text.find("GET /slow") == 0) (void)eventually([&] { return release.load(); });
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    }
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto slow = client.ask(Http2Peer::get("/slow"));
  std::vector<std::int32_t> quick;
  for (int i = 0; i < 50; ++i) quick.push_back(client.ask(Http2Peer::get("/quick")));
  for (const auto id : quick) CHECK(client.wait(id).body == "done");
  CHECK_FALSE(client.answer(slow).closed);
  release = true;
  CHECK(client.wait(slow).body == "done");
}

TEST_CASE("the connections that one burst has opened serve the next one") {
  constexpr int burst = 120;
  std::atomic<int> connections{0};
  std::atomic<int> came{0};
  App app([&](Peer& peer, int) {
    ++connections;
    for (;;) {
      if (peer.read_message().empty()) return;
      // So that all of a burst are in hand at once.
      const int all = came++ < burst ? burst : 2 * burst;
      (void)eventually([&] { return came >= all; });
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    }
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  for (int bursts = 0; bursts < 2; ++bursts) {
    std::vector<std::int32_t> asked;
    for (int i = 0; i < burst; ++i) asked.push_back(client.ask(Http2Peer::get()));
    for (const auto id : asked) CHECK(client.wait(id).body == "done");
  }
  CHECK(connections == burst);
}

TEST_CASE("bodies pass unchanged by HTTP/2, of known length and not, small and large") {
  App app(App::mirror);
  SecureLoopback loop;
  loop.serve({&app});
  const auto size = GENERATE(1UL, 10'000UL, 3'000'000UL);
  const bool known = GENERATE(true, false);
  const auto body = letters(size);
  Http2Peer client(loop.proxy.tls_port());
  Http2Peer::Fields more;
  if (known) more.emplace_back("content-length", std::to_string(size));
  const auto answer = client.fetch(Http2Peer::post(more), body);
  REQUIRE(answer.status() == "200");
  std::string seen;
  if (known) {
    seen = body_of(answer.body);
  } else {
    // In chunks: their frames are taken out again.
    CHECK_THAT(answer.body.substr(0, 1000), Catch::Contains("Transfer-Encoding: chunked\r\n"));
    std::string chunks = body_of(answer.body);
    http1::ChunkDecoder decoder;
    const auto step = decoder.decode({chunks.data(), chunks.size()});
    CHECK(step.done);
    seen = chunks.substr(0, step.payload);
  }
  CHECK((seen == body));
}

TEST_CASE("answers without a body, and what comes before an answer, keep their meaning") {
  App app([](Peer& peer, int) {
    for (;;) {
      const auto text = peer.read_message();
      if (text.empty()) return;
      if (text.find("HEAD") == 0)
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
      else if (text.find("GET /none") == 0)
        peer.send("HTTP/1.1 204 No Content\r\n\r\n");
      else if (text.find("GET /hints") == 0)
        peer.send(
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      else
        peer.send(
            "HTTP/1.1 200 OK\r\nConnection: X-Private\r\nX-Private: no\r\nKeep-Alive: 5\r\n"
            "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
    }
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  auto head = Http2Peer::get();
  head[0].second = "HEAD";
  const auto bodiless = client.fetch(head);
  CHECK(bodiless.status() == "200");
  CHECK(bodiless.field("content-length") == "12");
  CHECK(bodiless.body.empty());
  CHECK(client.fetch(Http2Peer::get("/none")).status() == "204");
  const auto hinted = client.fetch(Http2Peer::get("/hints"));
  CHECK(hinted.statuses == std::vector<std::string>{"103", "200"});
  CHECK(hinted.field("link") == "</a.css>");
  const auto chunked = client.fetch(Http2Peer::get("/chunked"));
  CHECK(chunked.body == "onetwo");
  CHECK(chunked.field("transfer-encoding") == "absent");
  CHECK(chunked.field("x-private") == "absent");
  CHECK(chunked.field("keep-alive") == "absent");
}

TEST_CASE("what the proxy has to say it says by HTTP/2 as well") {
  App app(App::hello("hi"));
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  auto unknown = Http2Peer::get("/", "b.test");
  unknown.emplace_back("accept", "application/json");
  const auto answer = client.fetch(unknown);
  CHECK(answer.status() == "404");
  CHECK(answer.field("content-type") == "application/json");
  CHECK_THAT(answer.body, Catch::Contains("b.test"));
  auto trace = Http2Peer::get();
  trace[0].second = "TRACE";
  CHECK(client.fetch(trace).status() == "405");
  // To HEAD nothing but the head, also when it is refused for its own.
  auto head = Http2Peer::get();
  head[0].second = "HEAD";
  head.emplace_back("x", std::string(17'000, 'x'));
  const auto refused = client.fetch(head);
  CHECK(refused.status() == "431");
  CHECK(refused.body.empty());
  // The connection goes on.
  CHECK(client.fetch(Http2Peer::get()).body == "hi");
}

TEST_CASE("a head that HTTP/1.1 could not say unmistakably is refused") {
  auto with = [](const std::string& name, const std::string& value) {
    auto fields = Http2Peer::get();
    fields.emplace_back(name, value);
    return fields;
  };
  CHECK(refusal_of(Http2Peer::get()) == "none");
  CHECK(refusal_of(with("x", "a b")) == "none");
  CHECK(refusal_of(with("x", "a\r\nInjected: 1")) ==
        "400 a header field's value has a control character");
  CHECK(refusal_of(with("x y", "1")) ==
        "400 a header field's name is empty or has a character that is not allowed");
  CHECK(refusal_of(Http2Peer::get("/a b")) ==
        "400 the request target is empty or has a space or control character");
  CHECK(refusal_of(Http2Peer::get("/ HTTP/1.1\r\nHost: evil\r\n\r\n")) ==
        "400 the request target is empty or has a space or control character");
  CHECK(refusal_of(Http2Peer::get("http://evil.test/")) ==
        "400 the request target must begin with /");
  CHECK(refusal_of(with("transfer-encoding", "chunked")) ==
        "400 HTTP/2 has no fields about the connection");
  CHECK(refusal_of(with("connection", "close")) == "400 HTTP/2 has no fields about the connection");
  CHECK(refusal_of(with("content-length", "5")) ==
        "400 Content-Length promises a body that does not come");
  CHECK(refusal_of(with("content-length", "5"), true) == "none");
  CHECK(refusal_of({{":method", "GET /"}, {":path", "/"}, {":authority", "a.test"}}) ==
        "400 the method is not a token");
  CHECK(refusal_of(with("x", std::string(17'000, 'x'))) == "431 the request's header is too large");
  auto many = Http2Peer::get();
  for (int i = 0; i < 101; ++i) many.emplace_back("x", "1");
  CHECK(refusal_of(many) == "431 the request's header is too large");
  many.pop_back();
  CHECK(refusal_of(many) == "none");
}

TEST_CASE("hostile heads reach no application, and cost at most their connection") {
  App app(App::mirror);
  SecureLoopback loop;
  loop.serve({&app});
  const auto bad = GENERATE(
      Http2Peer::Fields{
          {":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/ x"}},
      Http2Peer::Fields{{":method", "GET"},
                        {":scheme", "https"},
                        {":authority", "a.test"},
                        {":path", "/"},
                        {"x", "a\r\nb: c"}},
      Http2Peer::Fields{{":method", "GET"},
                        {":scheme", "https"},
                        {":authority", "a.test"},
                        {":path", "/"},
                        {"transfer-encoding", "chunked"}},
      Http2Peer::Fields{{":method", "GET"},
                        {":scheme", "https"},
                        {":authority", "a.test"},
                        {":path", "/"},
                        {"content-length", "5"}},
      Http2Peer::Fields{{":method", "GET"},
                        {":scheme", "https"},
                        {":authority", "a.test"},
                        {":path", "/"},
                        {":path", "/two"}},
      Http2Peer::Fields{{":method", "GET"}, {":scheme", "https"}, {":path", "/"}});
  Http2Peer client(loop.proxy.tls_port());
  const auto answer = client.fetch(bad);
  INFO(bad.back().first << ": " << bad.back().second);
  CHECK((answer.error != 0 || answer.status() == "400"));
  CHECK(app.connections() == 0);
  Http2Peer next(loop.proxy.tls_port());
  CHECK(next.fetch(Http2Peer::get()).status() == "200");
}

TEST_CASE("a stream that the client resets takes its request with it, and no other") {
  std::atomic<int> held_here{0};
  std::atomic<int> ended{0};
  App app([&](Peer& peer, int) {
    const auto text = peer.read_message();
    if (text.find("GET /held") == 0) {
      ++held_here;
      if (peer.closed_by_peer(20s)) ++ended;
      return;
    }
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto held = client.ask(Http2Peer::get("/held"));
  REQUIRE(eventually([&] { return held_here == 1; }));
  client.reset(held);
  CHECK(eventually([&] { return ended == 1; }));
  CHECK(eventually([&] { return loop.metric("client_left_total") == "1"; }));
  CHECK(client.fetch(Http2Peer::get("/other")).body == "hi");
}

TEST_CASE("a client that goes takes all its streams with it") {
  std::atomic<int> ended{0};
  App app([&](Peer& peer, int) {
    peer.read_message();
    if (peer.closed_by_peer(20s)) ++ended;
  });
  SecureLoopback loop;
  loop.serve({&app});
  {
    Http2Peer client(loop.proxy.tls_port());
    for (int i = 0; i < 5; ++i) client.ask(Http2Peer::get());
    REQUIRE(eventually([&] { return app.connections() == 5; }));
  }
  CHECK(eventually([&] { return ended == 5; }));
  CHECK(eventually([&] { return loop.proxy.open_connections() == 0; }));
}

TEST_CASE("an answer that the application breaks off resets its stream") {
  App app([](Peer& peer, int) {
    peer.read_message();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto answer = client.fetch(Http2Peer::get());
  CHECK(answer.status() == "200");
  CHECK(answer.closed);
  CHECK(answer.error == NGHTTP2_INTERNAL_ERROR);
}

TEST_CASE("an answer before the body is through ends the stream without an error") {
  App app([](Peer& peer, int) {
    peer.read_head();
    peer.send(
        "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto id = client.ask(Http2Peer::post(), letters(100'000), true);
  const auto& answer = client.wait(id);
  CHECK(answer.status() == "413");
  CHECK(answer.body == "big");
  CHECK(answer.error == NGHTTP2_NO_ERROR);
}

TEST_CASE("a slow application holds its client back, and a slow client its application") {
  std::atomic<bool> read_on{false};
  std::atomic<std::size_t> sent{0};
  std::atomic<bool> held_back{false};
  App app([&](Peer& peer, int) {
    const auto head = peer.read_head();
    if (head.find("POST") == 0) {
      (void)eventually([&] { return read_on.load(); });
      peer.read_until("\r\n0\r\n\r\n");
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
    const std::string piece(50'000, 'x');
    while (sent < 50'000'000) {
      const auto taken = peer.send_some(piece, 500ms);
      sent += taken;
      if (taken < piece.size()) {
        held_back = true;
        break;
      }
    }
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  SECTION("upload") {
    const auto id = client.ask(Http2Peer::post(), letters(8'000'000));
    // What neither the windows nor the application's socket take is still here.
    while (client.flush() && nghttp2_session_get_remote_window_size(client.session()) > 0 &&
           nghttp2_session_get_stream_remote_window_size(client.session(), id) > 0) {
    }
    CHECK_FALSE(client.answer(id).closed);
    read_on = true;
    CHECK(client.wait(id).status() == "200");
  }
  SECTION("download") {
    client.ask(Http2Peer::get());
    // Nobody reads: the windows are 64 KiB, the rest stays with the application.
    REQUIRE(eventually([&] { return held_back.load(); }));
    CHECK(sent < 30'000'000);
  }
}

TEST_CASE("each state of a stream has its time") {
  auto options = with_tls();
  options.limits.client_time = 300ms;
  options.limits.answer_time = 700ms;
  options.limits.idle_time = 500ms;
  App app([](Peer& peer, int) { peer.read_to_end(); });
  SecureLoopback loop(options);
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  SECTION("a body that stops") {
    const auto id = client.ask(Http2Peer::post(), "begin", true);
    CHECK(client.wait(id).status() == "408");
  }
  SECTION("an application that does not answer") {
    CHECK(client.fetch(Http2Peer::get()).status() == "504");
  }
  SECTION("a connection without a request") {
    CHECK(client.until([&] { return client.going_away(); }));
    CHECK(client.going_away_because() == NGHTTP2_NO_ERROR);
    client.tls().read_to_end();
    CHECK(client.tls().ended_cleanly());
  }
}

TEST_CASE("a proxy that stops says so by HTTP/2, and finishes what it has") {
  std::atomic<bool> release{false};
  App app([&](Peer& peer, int) {
    peer.read_message();
    (void)eventually([&] { return release.load(); });
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto id = client.ask(Http2Peer::get());
  REQUIRE(eventually([&] { return app.connections() == 1; }));
  loop.proxy.drain();
  CHECK(client.until([&] { return client.going_away(); }));
  CHECK_FALSE(client.answer(id).closed);
  release = true;
  CHECK(client.wait(id).body == "done");
  CHECK(loop.proxy.stop(10s) == 0);
  client.tls().read_to_end();
  CHECK(client.tls().ended_cleanly());
}

TEST_CASE("floods of HTTP/2 end their connection and nothing else") {
  App app(App::hello("hi"));
  SecureLoopback loop;
  loop.serve({&app});
  const std::string kind = GENERATE("resets", "pings", "settings", "refused requests");
  Http2Peer client(loop.proxy.tls_port());
  bool ended = false;
  // More than the sockets between us hold of the answers, which nobody reads.
  for (int i = 0; i < 2'000'000 && !ended; ++i) {
    if (kind == "resets") {
      const auto id = client.ask(Http2Peer::get());
      nghttp2_submit_rst_stream(client.session(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    } else if (kind == "refused requests") {
      client.ask(Http2Peer::get("/", "nobody.test"));
    } else if (kind == "pings") {
      nghttp2_submit_ping(client.session(), NGHTTP2_FLAG_NONE, nullptr);
    } else {
      nghttp2_submit_settings(client.session(), NGHTTP2_FLAG_NONE, nullptr, 0);
    }
    if (i % 500 == 0) ended = !client.flush();
  }
  client.flush();
  INFO(kind);
  if (!ended) (void)client.until([&] { return client.going_away(); });
  CHECK(eventually([&] { return loop.proxy.open_connections() == 0; }));
  Http2Peer next(loop.proxy.tls_port());
  CHECK(next.fetch(Http2Peer::get()).body == "hi");
}

TEST_CASE("what is no HTTP/2 after it was agreed on ends the connection") {
  SecureLoopback loop;
  TlsPeer client(loop.proxy.tls_port(), {.protocols = "\x02h2"});
  REQUIRE(client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
  client.read_to_end();
  CHECK(eventually([&] { return loop.proxy.open_connections() == 0; }));
}

TEST_CASE("a connection's window is whole again after each request, however that has ended") {
  App app([](Peer& peer, int) {
    for (;;) {
      const auto head = peer.read_head();
      if (head.empty()) return;
      if (head.find("POST /early") == 0) {
        peer.send(
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
      }
      peer.read_exactly(Peer::content_length(head));
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  // Together much more than the window of 1 MiB.
  for (int i = 0; i < 60; ++i) {
    const auto body = letters(60'000);
    const auto answer =
        client.fetch(Http2Peer::post({{"content-length", std::to_string(body.size())}}), body);
    REQUIRE(answer.status() == "200");
  }
  auto early = Http2Peer::post();
  early[3].second = "/early";
  for (int i = 0; i < 12; ++i) {
    const auto id = client.ask(early, letters(200'000), true);
    REQUIRE(client.wait(id).status() == "413");
  }
  auto unknown = Http2Peer::post();
  unknown[2].second = "nobody.test";
  for (int i = 0; i < 12; ++i) REQUIRE(client.fetch(unknown, letters(200'000)).status() == "404");
  const auto body = letters(500'000);
  CHECK(client.fetch(Http2Peer::post({{"content-length", "500000"}}), body).status() == "200");
}

TEST_CASE("a request that is reset as soon as it is asked reaches no application") {
  App app(App::hello("hi"));
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  for (int i = 0; i < 20; ++i) client.ask_and_reset(Http2Peer::get());
  CHECK(client.fetch(Http2Peer::get()).body == "hi");
  CHECK(app.connections() == 1);
  CHECK(loop.metric("client_left_total") == "20");
}

TEST_CASE("an answer without a body comes through while the request is not") {
  App app([](Peer& peer, int) {
    peer.read_head();
    peer.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto id = client.ask(Http2Peer::post(), "begin", true);
  const auto& answer = client.wait(id);
  CHECK(answer.status() == "401");
  CHECK(answer.error == NGHTTP2_NO_ERROR);
}

TEST_CASE("a body that streams is not sent again without its beginning") {
  std::atomic<int> complete{0};
  App app([&](Peer& peer, int nth) {
    peer.read_head();
    if (nth == 0) return;
    if (!peer.read_until("0\r\n\r\n").empty()) ++complete;
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  auto put = Http2Peer::post();
  put[0].second = "PUT";
  const auto id = client.ask(put, "", true);
  (void)eventually([&] { return app.closed() > 0; });
  client.add(id, letters(2'000), false);
  CHECK(client.wait(id).status() == "502");
  CHECK(complete == 0);
}

TEST_CASE("a head that does not end is not waited for for ever") {
  auto options = with_tls();
  options.limits.header_time = 300ms;
  SecureLoopback loop(options);
  TlsPeer client(loop.proxy.tls_port(), {.protocols = "\x02h2"});
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const std::string settings("\0\0\0\x04\0\0\0\0\0", 9);
  SECTION("a client that says nothing") {}
  SECTION("a head without its end") {
    // HEADERS of one byte on stream 1, END_STREAM but not END_HEADERS.
    REQUIRE(client.send(preface + settings + std::string("\0\0\x01\x01\x01\0\0\0\x01\x82", 10)));
  }
  client.read_to_end();
  CHECK(eventually([&] { return loop.proxy.open_connections() == 0; }));
}
