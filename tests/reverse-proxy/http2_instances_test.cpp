// Applications that are spoken to by HTTP/2, between real sockets.
#include <catch2/catch.hpp>

#include "reverse-proxy/http2_instance.hpp"
#include "reverse-proxy/http2_peer.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;

namespace {

using Server = Http2Instance::Server;
using Request = Http2Instance::Request;

const Http2Instance::Fields fine{{":status", "200"}};

/// Answers with the body that it got, as it comes.
Http2Instance::Behaviour echo() {
  Http2Instance::Behaviour behaviour;
  behaviour.head = [](Server& server, Request& request) {
    server.answer(request.id, fine, "", !request.ended);
  };
  behaviour.piece = [](Server& server, Request& request, const std::string& piece) {
    server.add(request.id, piece, true);
  };
  behaviour.whole = [](Server& server, Request& request) {
    if (!request.body.empty()) server.add(request.id, "", false, request.trailers);
  };
  return behaviour;
}

}  // namespace

TEST_CASE("visitors of HTTP/1.1 and HTTP/2 reach an application that speaks HTTP/2") {
  Http2Instance instance(Http2Instance::hello());
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  auto client = loop.client();
  for (int i = 0; i < 3; ++i) {
    client.send(
        "GET /a?b=c HTTP/1.1\r\nHost: a.test\r\nX-One: 1\r\nConnection: X-Gone\r\n"
        "X-Gone: 2\r\nTE: trailers\r\n\r\n");
    const auto answer = client.read_message();
    CHECK_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    CHECK(client.complete());
    CHECK_THAT(body_of(answer), Contains("hello"));
  }
  const auto request = instance.only();
  CHECK(request.field(":method") == "GET");
  CHECK(request.field(":scheme") == "http");
  CHECK(request.field(":authority") == "a.test");
  CHECK(request.path() == "/a?b=c");
  CHECK(request.field("x-one") == "1");
  CHECK(request.field("x-gone") == "absent");
  CHECK(request.field("te") == "trailers");
  CHECK(request.field("host") == "absent");
  CHECK(request.field("connection") == "absent");
  CHECK(request.field("x-forwarded-for") == "127.0.0.1");
  CHECK(request.field("x-forwarded-proto") == "http");
  CHECK(request.field("x-request-id") != "absent");
  Http2Peer modern(loop.proxy.tls_port());
  CHECK(modern.fetch(Http2Peer::get("/two")).body == "hello");
  CHECK(instance.only().field("x-forwarded-proto") == "https");
  // All on one connection.
  CHECK(instance.app().connections() == 1);
  CHECK(loop.metric("backend_connects_total") == "1");
}

TEST_CASE("an instance that speaks HTTP/2 gets many requests at once on one connection") {
  std::atomic<int> waiting{0};
  std::vector<std::int32_t> held;
  Http2Instance::Behaviour behaviour;
  // All of them are answered when the last one is there.
  behaviour.whole = [&](Server& server, Request& request) {
    held.push_back(request.id);
    if (++waiting < 60) return;
    for (const auto id : held) server.answer(id, fine, "at once");
  };
  Http2Instance instance(behaviour);
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  Http2Peer client(loop.proxy.tls_port());
  std::vector<std::int32_t> asked;
  for (int i = 0; i < 60; ++i) asked.push_back(client.ask(Http2Peer::get()));
  for (const auto id : asked) CHECK(client.wait(id).body == "at once");
  CHECK(instance.app().connections() == 1);
  CHECK(instance.most_at_once() == 60);
}

TEST_CASE("no more streams than an instance allows, and further connections when they are taken") {
  Http2Instance::Behaviour behaviour;
  behaviour.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 3}};
  behaviour.whole = [](Server&, Request&) {};
  Http2Instance instance(behaviour);
  ProxyOptions options = with_tls();
  options.limits.http2_per_backend = 2;
  options.limits.connect_time = 500ms;
  SecureLoopback loop(options);
  loop.use({spoken_to("h2c", {&instance.app()})});
  Http2Peer client(loop.proxy.tls_port());
  std::vector<std::int32_t> asked;
  for (int i = 0; i < 6; ++i) asked.push_back(client.ask(Http2Peer::get("/" + std::to_string(i))));
  REQUIRE(eventually([&] { return instance.requests().size() == 6; }));
  CHECK(instance.app().connections() == 2);
  CHECK(instance.most_at_once() == 3);
  SECTION("what finds no place is told so, in time") {
    const auto refused = client.fetch(Http2Peer::get());
    CHECK(refused.status() == "503");
    CHECK_THAT(refused.body, Contains("take no more requests at once"));
    CHECK(instance.requests().size() == 6);
  }
  SECTION("what waits for a place gets the one that becomes free") {
    const auto late = client.ask(Http2Peer::get("/late"));
    client.reset(asked[2]);
    REQUIRE(eventually([&] { return instance.requests().size() == 7; }));
    instance.tell([](Server& server) {
      for (std::int32_t id = 1; id < 12; id += 2)
        if (nghttp2_session_find_stream(server.session(), id) != nullptr)
          server.answer(id, fine, "place");
    });
    CHECK(client.wait(late).body == "place");
    CHECK(instance.most_at_once() == 3);
  }
}

TEST_CASE("bodies go both ways at the same time to an instance that speaks HTTP/2") {
  Http2Instance instance(echo());
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  SECTION("piece by piece, by HTTP/2") {
    Http2Peer client(loop.proxy.tls_port());
    const auto id = client.ask(Http2Peer::post({{"te", "trailers"}}), "one ", true);
    REQUIRE(client.until([&] { return client.answer(id).body == "one "; }));
    client.add(id, "two ", true);
    REQUIRE(client.until([&] { return client.answer(id).body == "one two "; }));
    client.add(id, "three", false);
    CHECK(client.wait(id).body == "one two three");
    CHECK(client.answer(id).error == NGHTTP2_NO_ERROR);
  }
  SECTION("piece by piece, by HTTP/1.1") {
    auto client = loop.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none \r\n");
    CHECK_THAT(client.read_until("one \r\n"), StartsWith("HTTP/1.1 200"));
    client.send("4\r\ntwo \r\n");
    CHECK_THAT(client.read_until("two \r\n"), Contains("two "));
    client.send("0\r\n\r\n");
    CHECK_THAT(client.read_until("0\r\n\r\n"), EndsWith("0\r\n\r\n"));
  }
  SECTION("large ones, whole") {
    const auto body = letters(5'000'000);
    Http2Peer client(loop.proxy.tls_port());
    nghttp2_session_set_local_window_size(client.session(), NGHTTP2_FLAG_NONE, 0, 8 << 20);
    const auto answer = client.fetch(Http2Peer::post(), body);
    CHECK(answer.body == body);
    auto old = loop.client();
    std::thread sender([&] {
      old.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5000000\r\n\r\n" + body);
    });
    const auto text = old.read_until("\r\n0\r\n\r\n");
    sender.join();
    CHECK(text.size() > body.size());
    CHECK(instance.only().body == body);
  }
  SECTION("small ones of known length") {
    auto client = loop.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nsmall");
    CHECK_THAT(client.read_message(), Contains("small"));
    CHECK(instance.only().field("content-length") == "5");
  }
}

TEST_CASE("trailers go both ways to an instance that speaks HTTP/2") {
  Http2Instance instance(echo());
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  Http2Peer client(loop.proxy.tls_port());
  const auto id = client.ask(Http2Peer::post({{"te", "trailers"}}), "body", true);
  REQUIRE(client.until([&] { return client.answer(id).body == "body"; }));
  const std::string name = "x-sum";
  const std::string value = "7";
  const nghttp2_nv trailer{reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                           reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), 5, 1,
                           NGHTTP2_NV_FLAG_NONE};
  nghttp2_submit_headers(client.session(), NGHTTP2_FLAG_END_STREAM, id, nullptr, &trailer, 1,
                         nullptr);
  client.flush();
  CHECK(client.wait(id).field("x-sum") == "7");
  CHECK(client.answer(id).error == NGHTTP2_NO_ERROR);
  CHECK(instance.only().trailers == Http2Instance::Fields{{"x-sum", "7"}});
  // From chunks as well, where names may have any case.
  auto old = loop.client();
  old.send(
      "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n"
      "4\r\nbody\r\n0\r\nX-SUM: 8\r\n\r\n");
  CHECK_THAT(old.read_until("x-sum: 8\r\n\r\n"), EndsWith("0\r\nx-sum: 8\r\n\r\n"));
}

TEST_CASE("answers without a body from an instance that speaks HTTP/2") {
  Http2Instance::Behaviour behaviour;
  behaviour.whole = [](Server& server, Request& request) {
    const auto path = request.path();
    if (path == "/304") server.answer(request.id, {{":status", "304"}, {"etag", "\"x\""}});
    if (path == "/204") server.answer(request.id, {{":status", "204"}});
    if (path == "/empty") server.answer(request.id, fine);
    if (path == "/head") server.answer(request.id, {{":status", "200"}, {"content-length", "12"}});
    if (path == "/early") {
      server.inform(request.id, {{":status", "103"}, {"link", "</a>"}});
      server.answer(request.id, fine, "after hints");
    }
  };
  Http2Instance instance(behaviour);
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  CHECK_THAT(loop.get("/304"), StartsWith("HTTP/1.1 304 ") && !Contains("Content-Length"));
  CHECK_THAT(loop.get("/204"), StartsWith("HTTP/1.1 204 ") && !Contains("Content-Length"));
  CHECK_THAT(loop.get("/empty"), StartsWith("HTTP/1.1 200 ") && Contains("Content-Length: 0\r\n"));
  auto client = loop.client();
  client.send("HEAD /head HTTP/1.1\r\nHost: a.test\r\n\r\n");
  CHECK_THAT(client.read_head(), Contains("Content-Length: 12\r\n"));
  // The connection goes on, and nothing of a body stands on it.
  client.send("GET /early HTTP/1.1\r\nHost: a.test\r\n\r\n");
  CHECK_THAT(client.read_head(), StartsWith("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n"));
  CHECK_THAT(client.read_until("\r\n0\r\n\r\n"), Contains("after hints"));
  Http2Peer modern(loop.proxy.tls_port());
  auto head = Http2Peer::get("/head");
  head[0].second = "HEAD";
  CHECK(modern.fetch(head).field("content-length") == "12");
  const auto hints = modern.fetch(Http2Peer::get("/early"));
  CHECK(hints.statuses == std::vector<std::string>{"103", "200"});
  CHECK(hints.body == "after hints");
  CHECK(modern.fetch(Http2Peer::get("/empty")).field("content-length") == "absent");
}

TEST_CASE("an answer by HTTP/2 before the request is through ends its upload in peace") {
  const bool resets = GENERATE(true, false);
  Http2Instance::Behaviour behaviour;
  behaviour.head = [resets](Server& server, Request& request) {
    server.answer(request.id, {{":status", "413"}}, "too much");
    // RST_STREAM with NO_ERROR, behind the answer.
    if (resets && !request.ended) server.raw(std::string("\0\0\4\3\0\0\0\0\1\0\0\0\0", 13));
  };
  Http2Instance instance(behaviour);
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  Http2Peer client(loop.proxy.tls_port());
  const auto id = client.ask(Http2Peer::post(), "begin", true);
  CHECK(client.wait(id).body == "too much");
  CHECK(client.answer(id).status() == "413");
  CHECK(client.answer(id).error == NGHTTP2_NO_ERROR);
  // Who has said itself that it wants no more is not told so.
  if (!resets) CHECK(eventually([&] { return instance.only().error == NGHTTP2_CANCEL; }));
  // The connection to the instance goes on.
  CHECK(client.fetch(Http2Peer::get()).body == "too much");
  CHECK(instance.app().connections() == 1);
}

TEST_CASE("an instance hears at once that a visitor has left its stream") {
  Http2Instance::Behaviour behaviour;
  behaviour.head = [](Server& server, Request& request) {
    if (request.path() == "/begun") server.answer(request.id, fine, "begin", true);
  };
  Http2Instance instance(behaviour);
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  const std::string path = GENERATE("/silent", "/begun");
  SECTION("by HTTP/2") {
    Http2Peer client(loop.proxy.tls_port());
    const auto id = client.ask(Http2Peer::get(path));
    REQUIRE(eventually([&] { return instance.requests().size() == 1; }));
    if (path == "/begun") REQUIRE(client.until([&] { return client.answer(id).body == "begin"; }));
    client.reset(id);
    CHECK(eventually([&] { return instance.only().closed; }));
  }
  SECTION("by HTTP/1.1") {
    auto client = loop.client();
    client.send("GET " + path + " HTTP/1.1\r\nHost: a.test\r\n\r\n");
    REQUIRE(eventually([&] { return instance.requests().size() == 1; }));
    if (path == "/begun") CHECK_THAT(client.read_until("begin"), EndsWith("begin"));
    client.close();
    CHECK(eventually([&] { return instance.only().closed; }));
  }
  CHECK(instance.only().error == NGHTTP2_CANCEL);
  CHECK(instance.app().closed() == 0);
}

TEST_CASE("a visitor who takes nothing holds an instance back, and not the other visitors") {
  const auto much = letters(6'000'000);
  Http2Instance::Behaviour behaviour;
  behaviour.whole = [&](Server& server, Request& request) {
    server.answer(request.id, fine, request.path() == "/much" ? much : "small");
  };
  Http2Instance instance(behaviour);
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  std::vector<Peer> slow;
  // More of them than half of all streams, whose windows are half of the connection's.
  for (int i = 0; i < 80; ++i) {
    slow.push_back(loop.client());
    const int little = 64 * 1024;
    ::setsockopt(slow.back().fd(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    slow.back().send("GET /much HTTP/1.1\r\nHost: a.test\r\n\r\n");
  }
  REQUIRE(eventually([&] { return instance.requests().size() == 80; }));
  for (int i = 0; i < 20; ++i) CHECK_THAT(loop.get("/small"), Contains("small"));
  CHECK(instance.app().connections() == 1);
  std::atomic<std::size_t> left{0};
  instance.tell([&](Server& server) { left = server.left_of(1); });
  CHECK(eventually([&] { return left > 1'000'000; }));
  // What waits is there, whole.
  CHECK(slow.front().read_until("\r\n0\r\n\r\n").size() > much.size());
}

TEST_CASE("requests that an instance has not looked at go on as if nothing was") {
  std::atomic<int> refused{0};
  SECTION("by a reset, whatever the method") {
    Http2Instance::Behaviour behaviour;
    behaviour.head = [&](Server& server, Request& request) {
      if (refused++ % 2 == 0) server.reset(request.id, NGHTTP2_REFUSED_STREAM);
    };
    behaviour.whole = [&](Server& server, Request& request) {
      server.answer(request.id, fine, "got " + request.body);
    };
    Http2Instance instance(behaviour);
    SecureLoopback loop;
    loop.use({spoken_to("h2c", {&instance.app()})});
    Http2Peer client(loop.proxy.tls_port());
    // Of known and of unknown length.
    CHECK(client.fetch(Http2Peer::post({{"content-length", "4"}}), "body").body == "got body");
    CHECK(client.fetch(Http2Peer::post(), "unknown").body == "got unknown");
    CHECK(client.fetch(Http2Peer::get()).status() == "200");
    CHECK(std::stoi(loop.metric("retries_total")) >= 3);
    CHECK(instance.app().connections() == 1);
  }
  SECTION("by GOAWAY") {
    Http2Instance::Behaviour behaviour;
    behaviour.head = [&](Server& server, Request& request) {
      if (server.nth() == 0 && request.id > 1) {
        server.go_away(1);
        ++refused;
      }
    };
    behaviour.whole = [&](Server& server, Request& request) {
      if (server.nth() == 0 && request.id > 1) return;
      if (request.path() == "/slow") return;
      server.answer(request.id, fine, "got " + request.body);
    };
    Http2Instance instance(behaviour);
    SecureLoopback loop;
    loop.use({spoken_to("h2c", {&instance.app()})});
    Http2Peer client(loop.proxy.tls_port());
    const auto slow = client.ask(Http2Peer::get("/slow"));
    REQUIRE(eventually([&] { return instance.requests().size() == 1; }));
    CHECK(client.fetch(Http2Peer::post(), "unknown").body == "got unknown");
    CHECK(refused == 1);
    // What it had looked at before comes to its end on the old connection.
    instance.tell([](Server& server) {
      if (server.nth() == 0) server.answer(1, fine, "in the end");
    });
    CHECK(client.wait(slow).body == "in the end");
    CHECK(eventually([&] { return instance.app().closed() == 1; }));
    CHECK(instance.app().connections() == 2);
    CHECK(loop.metric("backend_failures_total") == "0");
  }
  SECTION("also while their bodies still come") {
    Http2Instance::Behaviour behaviour;
    // Every other one.
    behaviour.piece = [](Server& server, Request& request, const std::string&) {
      if (request.id % 4 == 1) server.reset(request.id, NGHTTP2_REFUSED_STREAM);
    };
    behaviour.whole = [&](Server& server, Request& request) {
      server.answer(request.id, fine, "got " + request.body);
    };
    Http2Instance instance(behaviour);
    SecureLoopback loop;
    loop.use({spoken_to("h2c", {&instance.app()})});
    auto again = [&](std::size_t n) {
      return eventually([&] {
        const auto seen = instance.requests();
        return seen.size() == n && seen.back().body == "first ";
      });
    };
    Http2Peer modern(loop.proxy.tls_port());
    const auto id = modern.ask(Http2Peer::post(), "first ", true);
    REQUIRE(again(2));
    modern.add(id, "second", false);
    CHECK(modern.wait(id).body == "got first second");
    auto client = loop.client();
    client.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst \r\n");
    REQUIRE(eventually([&] { return instance.requests().size() >= 3; }));
    client.send("6\r\nsecond\r\n0\r\n\r\n");
    CHECK_THAT(client.read_message(), Contains("\r\ngot first second\r\n"));
    CHECK(loop.metric("backend_failures_total") == "0");
  }
  SECTION("not when too much of the body is gone") {
    Http2Instance::Behaviour behaviour;
    behaviour.piece = [&](Server& server, Request& request, const std::string&) {
      if (request.body.size() < 40'000) return;
      if (refused++ == 0) server.reset(request.id, NGHTTP2_REFUSED_STREAM);
    };
    Http2Instance instance(behaviour);
    SecureLoopback loop;
    loop.use({spoken_to("h2c", {&instance.app()})});
    Http2Peer client(loop.proxy.tls_port());
    CHECK(client.fetch(Http2Peer::post(), letters(60'000)).status() == "502");
    CHECK(instance.requests().size() == 1);
  }
}

TEST_CASE("a connection of HTTP/2 that breaks costs only what it may have carried out") {
  std::atomic<int> broken{0};
  Http2Instance::Behaviour behaviour;
  behaviour.whole = [&](Server& server, Request& request) {
    if (request.path() == "/break" && broken++ == 0) return server.close();
    server.answer(request.id, fine, "well");
  };
  Http2Instance instance(behaviour);
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  Http2Peer client(loop.proxy.tls_port());
  CHECK(client.fetch(Http2Peer::get()).body == "well");
  SECTION("what can be repeated is") {
    CHECK(client.fetch(Http2Peer::get("/break")).body == "well");
    CHECK(loop.metric("stale_total") == "1");
  }
  SECTION("what cannot is not") {
    auto post = Http2Peer::post();
    post[3].second = "/break";
    CHECK(client.fetch(post, "x").status() == "502");
  }
  CHECK(client.fetch(Http2Peer::get()).body == "well");
}

TEST_CASE("a stream that an instance resets was its work: it counts against the instance") {
  Http2Instance::Behaviour behaviour;
  behaviour.whole = [&](Server& server, Request& request) {
    if (request.path() == "/break") return server.reset(request.id, NGHTTP2_INTERNAL_ERROR);
    server.answer(request.id, fine, "well");
  };
  Http2Instance instance(behaviour);
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  CHECK_THAT(loop.get("/"), Contains("\r\nwell\r\n"));
  CHECK(status_of(loop.get("/break")) == "502");
  CHECK(loop.metric("stale_total") == "0");
  CHECK(loop.metric("set_aside_total") != "0");
  CHECK_THAT(loop.get("/"), Contains("\r\nwell\r\n"));
}

TEST_CASE("an answer by HTTP/2 that breaks off is not passed off as complete") {
  Http2Instance::Behaviour behaviour;
  behaviour.whole = [](Server& server, Request& request) {
    server.answer(request.id, fine, "half", true);
  };
  Http2Instance instance(behaviour);
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  const bool by_reset = GENERATE(true, false);
  const auto break_off = [by_reset](Server& server) {
    if (by_reset)
      server.reset(1, NGHTTP2_INTERNAL_ERROR);
    else
      server.close();
  };
  SECTION("to HTTP/2") {
    Http2Peer client(loop.proxy.tls_port());
    const auto id = client.ask(Http2Peer::get());
    REQUIRE(client.until([&] { return client.answer(id).body == "half"; }));
    instance.tell(break_off);
    CHECK(client.wait(id).error == NGHTTP2_INTERNAL_ERROR);
  }
  SECTION("to HTTP/1.1") {
    auto client = loop.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    CHECK_THAT(client.read_until("half\r\n"), EndsWith("half\r\n"));
    instance.tell(break_off);
    CHECK(client.closed_by_peer());
  }
  CHECK(loop.metric("truncated_total") == "1");
}

TEST_CASE("an instance of HTTP/2 that is silent is waited for as long as any other") {
  ProxyOptions options = with_tls();
  options.limits.answer_time = 300ms;
  options.limits.http2_backend_idle_time = 300ms;
  SECTION("before it greets") {
    App app([](Peer& peer, int) { (void)peer.read_to_end(); });
    SecureLoopback loop(options);
    loop.use({spoken_to("h2c", {&app})});
    CHECK(status_of(loop.get()) == "504");
  }
  SECTION("before it answers") {
    Http2Instance instance({});
    SecureLoopback loop(options);
    loop.use({spoken_to("h2c", {&instance.app()})});
    CHECK(status_of(loop.get()) == "504");
    CHECK(eventually([&] { return instance.only().error == NGHTTP2_CANCEL; }));
  }
  SECTION("in its answer") {
    Http2Instance::Behaviour behaviour;
    behaviour.whole = [](Server& server, Request& request) {
      server.answer(request.id, fine, "half", true);
    };
    Http2Instance instance(behaviour);
    SecureLoopback loop(options);
    loop.use({spoken_to("h2c", {&instance.app()})});
    Http2Peer client(loop.proxy.tls_port());
    CHECK(client.fetch(Http2Peer::get()).error == NGHTTP2_INTERNAL_ERROR);
  }
  SECTION("while it takes nothing of the body") {
    Http2Instance::Behaviour behaviour;
    behaviour.head = [](Server& server, Request&) { server.take_nothing(); };
    Http2Instance instance(behaviour);
    SecureLoopback loop(options);
    loop.use({spoken_to("h2c", {&instance.app()})});
    Http2Peer client(loop.proxy.tls_port());
    CHECK(client.fetch(Http2Peer::post(), letters(200'000)).status() == "504");
  }
  SECTION("between requests the connection is left in peace") {
    Http2Instance instance(Http2Instance::hello());
    SecureLoopback loop(options);
    loop.use({spoken_to("h2c", {&instance.app()})});
    CHECK(status_of(loop.get()) == "200");
    CHECK(eventually([&] { return instance.app().closed() == 1; }));
    CHECK(instance.went_away() == "0");
    CHECK(status_of(loop.get()) == "200");
  }
}

TEST_CASE("instances of HTTP/2 are balanced, left out when they fail, and drained") {
  Http2Instance one(Http2Instance::hello("one"));
  Http2Instance two(Http2Instance::hello("two"));
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&one.app(), &two.app()})});
  std::map<std::string, int> seen;
  for (int i = 0; i < 40; ++i) {
    const auto answer = loop.get();
    ++seen[answer.find("one") != std::string::npos ? "one" : "two"];
  }
  CHECK(seen.size() == 2);
  one.app().stop();
  for (int i = 0; i < 10; ++i) CHECK_THAT(loop.get(), Contains("two"));
  loop.use({spoken_to("h2c", {&one.app()})});
  // Who left the table is left by its connection, too.
  CHECK(eventually([&] { return two.app().closed() == 1; }));
  CHECK(status_of(loop.get()) == "502");
}

TEST_CASE("a change of the protocol holds from the next request on") {
  Http2Instance modern(Http2Instance::hello("by HTTP/2"));
  SecureLoopback loop;
  loop.use({spoken_to("http1", {&modern.app()})});
  CHECK(status_of(loop.get()) == "502");
  loop.use({spoken_to("h2c", {&modern.app()})});
  CHECK(eventually([&] { return body_of(loop.get()).find("by HTTP/2") != std::string::npos; }));
  App old(App::hello("by HTTP/1.1"));
  loop.use({spoken_to("h2c", {&old})});
  const auto answer = loop.get();
  CHECK(status_of(answer) == "502");
  CHECK_THAT(answer, Contains("could not be spoken to as the application's rules say"));
  loop.use({spoken_to("http1", {&old})});
  CHECK(eventually([&] { return body_of(loop.get()) == "by HTTP/1.1"; }));
}

TEST_CASE(
    "a proxy that stops waits for no idle instance, but for the requests that one has in hand") {
  Http2Instance::Behaviour behaviour;
  behaviour.whole = [](Server& server, Request& request) {
    if (request.path() != "/slow") server.answer(request.id, fine, "hello");
  };
  Http2Instance instance(behaviour);
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  CHECK(status_of(loop.get()) == "200");
  auto client = loop.client();
  client.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
  REQUIRE(eventually([&] { return instance.requests().size() == 2; }));
  const auto begun = std::chrono::steady_clock::now();
  std::thread stopping([&] { loop.proxy.stop(20s); });
  instance.tell([](Server& server) { server.answer(3, fine, "in the end"); });
  CHECK_THAT(client.read_until("in the end"), EndsWith("in the end"));
  stopping.join();
  CHECK(std::chrono::steady_clock::now() - begun < 10s);
  CHECK(instance.went_away() == "0");
}
