#include <catch2/catch.hpp>
#include <semaphore>

#include "reverse-proxy/loopback.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;

TEST_CASE("a request reaches the application with our fields, and its answer comes back") {
  App app(App::mirror);
  Loopback loop;
  loop.serve({&app});
  const auto answer = loop.get("/path?query", "Accept: */*\r\n");
  CHECK_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  CHECK_THAT(answer, Contains("\r\nX-Request-Id: "));
  const auto seen = body_of(answer);
  CHECK_THAT(seen, StartsWith("GET /path?query HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n"));
  CHECK_THAT(seen, Contains("\r\nX-Forwarded-For: 127.0.0.1\r\n"));
  CHECK_THAT(seen, Contains("\r\nX-Forwarded-Proto: http\r\n"));
  CHECK_THAT(seen, Contains("\r\nX-Forwarded-Host: a.test\r\n"));
  CHECK_THAT(seen, Contains("\r\nX-Forwarded-Port: " + std::to_string(loop.proxy.port()) + "\r\n"));
  CHECK_THAT(seen, Contains("\r\nX-Request-Id: "));
}

TEST_CASE("connections are kept on both sides") {
  App app(App::hello("hi"));
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  for (int i = 0; i < 20; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    CHECK(body_of(client.read_message()) == "hi");
  }
  CHECK(app.connections() == 1);
  CHECK(loop.metric("backend_reuses_total") == "19");
}

TEST_CASE("pipelined requests are answered in their order, ours among them") {
  App app([](Peer& peer, int) {
    for (;;) {
      const auto head = peer.read_message();
      if (head.empty()) return;
      const auto begin = head.find(' ') + 1;
      const auto path = head.substr(begin, head.find(' ', begin) - begin);
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(path.size()) + "\r\n\r\n" +
                path);
    }
  });
  Loopback loop;
  loop.serve({&app});
  const auto answers = loop.talk(
      "\r\nGET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n"
      "GET /2 HTTP/1.1\r\nHost: nobody.test\r\n\r\n"
      "POST /3 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc"
      "POST /4 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
      "GET /5 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
  std::vector<std::size_t> at;
  for (const auto* mark : {"\r\n\r\n/1HTTP/1.1 404", "\"nobody.test\"", "\r\n\r\n/3HTTP/1.1 200",
                           "\r\n\r\n/4HTTP/1.1 200", "\r\n\r\n/5"}) {
    INFO(mark);
    at.push_back(answers.find(mark));
    CHECK(at.back() != std::string::npos);
  }
  CHECK(std::ranges::is_sorted(at));
}

TEST_CASE("an unknown host is named, with what to do, in the form the client likes") {
  Loopback loop;
  App app(App::hello("hi"));
  loop.serve({&app});
  auto ask = [&](const std::string& accept) {
    auto peer = loop.client();
    peer.send("GET / HTTP/1.1\r\nHost: No.Body.test:81\r\n" + accept + "\r\n");
    return peer.read_message();
  };
  const auto text = ask("");
  CHECK_THAT(text, StartsWith("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain"));
  CHECK_THAT(text, Contains("No application answers for \"no.body.test\" on this platform."));
  CHECK_THAT(text, Contains("`karreg domain add no.body.test`"));
  const auto json = ask("Accept: application/json\r\n");
  CHECK_THAT(json, Contains("Content-Type: application/json\r\n"));
  CHECK_THAT(
      body_of(json),
      StartsWith("{\"id\":404,\"message\":\"No application answers for \\\"no.body.test\\\""));
  CHECK_THAT(ask("Accept: text/html,*/*\r\n"),
             Contains("<p>No application answers for &quot;no.body.test&quot;"));
  CHECK(loop.metric("unknown_host_total") == "3");
}

TEST_CASE("an application without an instance is 503 with a time to try again") {
  Loopback loop;
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 503 ") && Contains("knows no application yet"));
  loop.use({Loopback::a_route("a.test", {})});
  const auto answer = loop.get();
  CHECK_THAT(answer, StartsWith("HTTP/1.1 503 ") && Contains("\r\nRetry-After: 5\r\n") &&
                         Contains("\"a.test\" has no running instance"));
}

TEST_CASE("the longest path prefix decides which application gets a request") {
  App site(App::hello("site"));
  App api(App::hello("api"));
  Loopback loop;
  auto below = Loopback::a_route("a.test", {&api});
  below.path = "/api/";
  loop.use({Loopback::a_route("a.test", {&site}), below});
  CHECK(body_of(loop.get("/")) == "site");
  CHECK(body_of(loop.get("/api")) == "api");
  CHECK(body_of(loop.get("/api/x?y")) == "api");
  CHECK(body_of(loop.get("/apix")) == "site");
}

TEST_CASE("a request that could be read in two ways reaches no application whole") {
  std::atomic<int> requests{0};
  App app([&](Peer& peer, int) {
    for (;;) {
      (void)peer.read_message();
      if (!peer.complete()) return;
      ++requests;
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
  });
  Loopback loop;
  loop.serve({&app});
  struct Case {
    const char* name;
    std::string text;
    std::string status;
  };
  const std::string post = "POST / HTTP/1.1\r\nHost: a.test\r\n";
  const std::string smuggled = "GET /admin HTTP/1.1\r\nHost: a.test\r\n\r\n";
  const Case cases[] = {
      {"CL.TE",
       post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "400"},
      {"TE.CL",
       post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + smuggled, "400"},
      {"CL.CL", post + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + smuggled, "400"},
      {"list of lengths", post + "Content-Length: 0, 44\r\n\r\n" + smuggled, "400"},
      {"plus", post + "Content-Length: +44\r\n\r\n" + smuggled, "400"},
      {"TE.TE",
       post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + smuggled,
       "400"},
      {"other coding", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled, "501"},
      {"space before colon", post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled,
       "400"},
      {"folded", post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + smuggled, "400"},
      {"bare line feeds", "POST / HTTP/1.1\nHost: a.test\n\n" + smuggled, "400"},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n" + smuggled, "400"},
      {"bad chunk size",
       post + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n" + smuggled, "400"},
      {"chunk longer than its size",
       post + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n" + smuggled, "400"},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
      {"CONNECT", "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n" + smuggled, "405"},
      {"header too large",
       "GET / HTTP/1.1\r\nA: " + std::string(20'000, 'a') + "\r\n\r\n" + smuggled, "431"},
  };
  for (const auto& c : cases) {
    INFO(c.name);
    const auto answer = loop.talk(c.text);
    CHECK(status_of(answer) == c.status);
    CHECK_THAT(answer, Contains("\r\nConnection: close\r\n"));
    // One answer only: nothing after the bad request was taken for a request.
    CHECK(answer.find("\nHTTP/1.1 ") == std::string::npos);
  }
  CHECK(requests == 0);
}

TEST_CASE("answers without a body and bodies without a length keep their meaning") {
  struct Case {
    const char* name;
    std::string request;
    std::string from_app;
    std::string expected_end;
  };
  const std::string get = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
  const std::string old = "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n";
  const Case cases[] = {
      {"HEAD", "HEAD / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "\r\n\r\n"},
      {"204", get, "HTTP/1.1 204 No Content\r\n\r\n", "\r\n\r\n"},
      {"304", get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "\r\n\r\n"},
      {"empty", get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "\r\n\r\n"},
      {"until close becomes chunks", get, "HTTP/1.0 200 OK\r\n\r\nhello",
       "\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
      {"until close for an old client", old, "HTTP/1.1 200 OK\r\n\r\nhello", "\r\n\r\nhello"},
      {"chunks for an old client", old,
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
       "\r\n\r\nhello"},
      {"trailers that nobody asked for and extensions are dropped", get,
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nT: "
       "x\r\n\r\n",
       "\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
  };
  for (const auto& c : cases) {
    INFO(c.name);
    App app([&](Peer& peer, int) {
      (void)peer.read_head();
      peer.send(c.from_app);
    });
    Loopback loop;
    loop.serve({&app});
    const auto answer = loop.talk(c.request);
    CHECK_THAT(answer, EndsWith(c.expected_end));
    CHECK(answer.find("\r\n\r\n") + 4 == answer.size() - (c.expected_end.size() - 4));
    CHECK_THAT(answer, Contains("\r\nConnection: close\r\n"));
  }
}

TEST_CASE("an old client that asks to be kept is kept when the length is known") {
  App app(App::hello("hi"));
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  for (int i = 0; i < 3; ++i) {
    client.send("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n");
    const auto answer = client.read_message();
    CHECK_THAT(answer, Contains("\r\nConnection: keep-alive\r\n") && EndsWith("hi"));
  }
}

TEST_CASE("a client that waits for 100 Continue gets the application's word") {
  App app([](Peer& peer, int nth) {
    (void)peer.read_head();
    if (nth == 0) {
      peer.send("HTTP/1.1 100 Continue\r\n\r\n");
      const auto body = peer.read_exactly(5);
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body);
    } else {
      peer.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
      (void)peer.read_to_end();
    }
  });
  Loopback loop;
  loop.serve({&app});
  const std::string head =
      "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  auto welcome = loop.client();
  welcome.send(head);
  CHECK(welcome.read_head() == "HTTP/1.1 100 Continue\r\n\r\n");
  welcome.send("hello");
  CHECK(body_of(welcome.read_message()) == "hello");
  // A refusal comes without the body having been sent; the connection ends, since a body may
  // follow.
  auto refused = loop.client();
  refused.send(head);
  const auto refusal = refused.read_message();
  CHECK(status_of(refusal) == "401");
  CHECK_THAT(refusal, Contains("\r\nConnection: close\r\n"));
  CHECK(refused.closed_by_peer());
}

TEST_CASE("early hints go to the client before the answer") {
  App app([](Peer& peer, int) {
    (void)peer.read_head();
    peer.send(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
        "2\r\n\r\nhi");
  });
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  CHECK(client.read_head() == "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
  CHECK(body_of(client.read_message()) == "hi");
}

TEST_CASE("an answer that comes before the body is through is passed on") {
  App app([](Peer& peer, int) {
    (void)peer.read_head();
    (void)peer.read_exactly(1000);
    peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
    (void)peer.read_to_end();
  });
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n" +
              std::string(200'000, 'x'));
  const auto answer = client.read_message();
  CHECK(status_of(answer) == "413");
  CHECK_THAT(answer, Contains("\r\nConnection: close\r\n"));
  CHECK(body_of(answer) == "big");
  CHECK(client.closed_by_peer());
}

TEST_CASE("a body that is refused while the application answers gets one answer") {
  // Application and client go on in the same moment, round by round.
  std::counting_semaphore<> application_there(0);
  std::counting_semaphore<> client_there(0);
  App app([&](Peer& peer, int) {
    (void)peer.read_head();
    application_there.release();
    (void)client_there.try_acquire_for(10s);
    // While hints are passed on, the body is read: each is a chance for it to be refused.
    std::string text;
    for (int i = 0; i < 10; ++i) text += "HTTP/1.1 103 Early Hints\r\n\r\n";
    peer.send(text + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    (void)peer.read_to_end();
  });
  Loopback loop;
  loop.serve({&app});
  int answered = 0;
  int refused = 0;
  for (int i = 0; i < 500; ++i) {
    auto client = loop.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client_there.release();
    (void)application_there.try_acquire_for(10s);
    client.send("no size\r\n");
    client.shutdown_send();
    const auto text = client.read_to_end();
    INFO(text);
    const bool has_answer = text.find("HTTP/1.1 200 ") != std::string::npos;
    const bool has_refusal = text.find("HTTP/1.1 400 ") != std::string::npos;
    answered += has_answer;
    refused += has_refusal;
    // Which of the two comes first is open; that there is one is not.
    REQUIRE(has_answer != has_refusal);
  }
  INFO(answered << " answered, " << refused << " refused");
  CHECK(refused > 0);
}

TEST_CASE("large bodies pass unchanged in both directions, chunked and not") {
  std::string payload(3'000'000, '\0');
  for (std::size_t i = 0; i < payload.size(); ++i)
    payload[i] = static_cast<char>(i * 2654435761U >> 13U);
  App app([&](Peer& peer, int) {
    for (;;) {
      const auto head = peer.read_head();
      if (head.empty()) return;
      std::string body;
      if (head.find("\r\nTransfer-Encoding: chunked") == std::string::npos) {
        body = peer.read_exactly(Peer::content_length(head));
      } else {
        for (;;) {
          const auto size = std::stoul(peer.read_until("\r\n"), nullptr, 16);
          body += peer.read_exactly(size);
          (void)peer.read_until("\r\n");
          if (size == 0) break;
        }
      }
      if (head.starts_with("POST /length"))
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                  body);
      else
        peer.send("HTTP/1.1 200 OK\r\n\r\n" + body);
      if (!head.starts_with("POST /length")) return;
    }
  });
  Loopback loop;
  loop.serve({&app});
  auto exchange = [&](const std::string& path, const std::string& text) {
    auto client = loop.client();
    std::thread sender([&] { client.send(text); });
    static_cast<void>(client.read_head());
    std::string body;
    if (path == "/length") {
      body = client.read_exactly(payload.size());
    } else {
      for (;;) {
        const auto size = std::stoul(client.read_until("\r\n"), nullptr, 16);
        body += client.read_exactly(size);
        (void)client.read_until("\r\n");
        if (size == 0) break;
      }
    }
    sender.join();
    return body;
  };
  std::string chunked;
  for (std::size_t at = 0, size = 1; at < payload.size();
       at += size, size = size * 3 % 70'001 + 1) {
    const auto piece = payload.substr(at, size);
    char line[20];
    (void)std::snprintf(line, sizeof line, "%zX\r\n", piece.size());
    chunked += line + piece + "\r\n";
  }
  chunked += "0\r\n\r\n";
  for (const std::string path : {"/length", "/close"}) {
    const std::string head = "POST " + path + " HTTP/1.1\r\nHost: a.test\r\n";
    INFO(path);
    CHECK(exchange(path, head + "Content-Length: " + std::to_string(payload.size()) + "\r\n\r\n" +
                             payload) == payload);
    CHECK(exchange(path, head + "Transfer-Encoding: chunked\r\n\r\n" + chunked) == payload);
  }
}

TEST_CASE("a streamed answer arrives piece by piece") {
  std::atomic<int> seen{0};
  App app([&](Peer& peer, int) {
    (void)peer.read_head();
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    for (int i = 1; i <= 3; ++i) {
      peer.send("data: " + std::to_string(i) + "\n\n");
      // The next piece only after the client has this one: buffering anywhere would stop here.
      if (!eventually([&] { return seen >= i; })) return;
    }
  });
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  CHECK_THAT(client.read_head(), Contains("text/event-stream"));
  for (int i = 1; i <= 3; ++i) {
    CHECK_THAT(client.read_until("\n\n\r\n"), EndsWith("data: " + std::to_string(i) + "\n\n\r\n"));
    seen = i;
  }
  CHECK(client.read_until("0\r\n\r\n") == "0\r\n\r\n");
}

TEST_CASE("a WebSocket is a tunnel in both directions until one side ends it") {
  App app([](Peer& peer, int) {
    const auto head = peer.read_head();
    if (head.find("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n") == std::string::npos) return;
    // The first frame comes together with the head.
    peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Accept: x\r\n\r\nwelcome");
    for (;;) {
      const auto frame = peer.read_exactly(4);
      if (frame.size() < 4) return;
      peer.send("<" + frame + ">");
    }
  });
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  client.send(
      "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: "
      "websocket\r\n\r\nabcd");
  CHECK_THAT(client.read_head(), StartsWith("HTTP/1.1 101 Switching Protocols\r\n") &&
                                     Contains("\r\nSec-WebSocket-Accept: x\r\n"));
  CHECK(client.read_exactly(13) == "welcome<abcd>");
  client.send("efgh");
  CHECK(client.read_exactly(6) == "<efgh>");
  CHECK(loop.metric("tunnels_open") == "1");
  client.shutdown_send();
  CHECK(client.closed_by_peer());
  CHECK(eventually([&] { return loop.metric("tunnels_open") == "0"; }));
}

TEST_CASE("an upgrade that the application refuses is an ordinary answer") {
  App app(App::hello("no"));
  Loopback loop;
  loop.serve({&app});
  auto client = loop.client();
  for (int i = 0; i < 2; ++i) {
    client.send(
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    CHECK(body_of(client.read_message()) == "no");
  }
}

TEST_CASE("a sticky session stays with its instance while that is there") {
  App one(App::hello("one"));
  App two(App::hello("two"));
  Loopback loop;
  auto route = Loopback::a_route("a.test", {&one, &two});
  route.sticky_sessions = true;
  loop.use({route});
  const auto first = loop.get();
  const auto at = first.find("\r\nSet-Cookie: ");
  REQUIRE(at != std::string::npos);
  const auto cookie = first.substr(at + 14, first.find(';', at) - at - 14);
  for (int i = 0; i < 10; ++i) {
    const auto again = loop.get("/", "Cookie: a=b; " + cookie + "\r\n");
    CHECK(body_of(again) == body_of(first));
    CHECK(again.find("Set-Cookie") == std::string::npos);
  }
  auto& other = body_of(first) == "one" ? two : one;
  auto without = Loopback::a_route("a.test", {&other});
  without.sticky_sessions = true;
  loop.use({without});
  const auto moved = loop.get("/", "Cookie: " + cookie + "\r\n");
  CHECK(body_of(moved) != body_of(first));
  CHECK_THAT(moved, Contains("\r\nSet-Cookie: karreg-instance="));
}

TEST_CASE("an instance gets its weight's share of the requests") {
  App stable(App::hello("stable"));
  App canary(App::hello("canary"));
  Loopback loop;
  auto route = Loopback::a_route("a.test", {&stable, &canary});
  route.backends[0].weight = 300;
  loop.use({route});
  auto client = loop.client();
  int of_canary = 0;
  for (int i = 0; i < 400; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    if (body_of(client.read_message()) == "canary") ++of_canary;
  }
  // Of 100 it is ten standard deviations away.
  CHECK(of_canary > 13);
  CHECK(of_canary < 187);
}

TEST_CASE("an instance without weight gets who comes back to it, and nobody else") {
  App stays(App::hello("stays"));
  App leaves(App::hello("leaves"));
  Loopback loop;
  auto route = Loopback::a_route("a.test", {&leaves});
  route.sticky_sessions = true;
  loop.use({route});
  const auto first = loop.get();
  const auto at = first.find("\r\nSet-Cookie: ");
  REQUIRE(at != std::string::npos);
  const auto cookie = first.substr(at + 14, first.find(';', at) - at - 14);
  route = Loopback::a_route("a.test", {&stays, &leaves});
  route.sticky_sessions = true;
  route.backends[1].weight = 0;
  loop.use({route});
  for (int i = 0; i < 20; ++i) {
    CHECK(body_of(loop.get()) == "stays");
    CHECK(body_of(loop.get("/", "Cookie: " + cookie + "\r\n")) == "leaves");
  }
  route.backends[0].weight = 0;
  loop.use({route});
  CHECK_THAT(loop.get(), StartsWith("HTTP/1.1 503 "));
  CHECK(loop.metric("no_backend_total") == "1");
  CHECK(body_of(loop.get("/", "Cookie: " + cookie + "\r\n")) == "leaves");
}

TEST_CASE("an application that wants https is redirected there, if there is https") {
  App app(App::hello("hi"));
  ProxyOptions options;
  options.https_port = 8443;
  options.trust_forwarded = true;
  Loopback loop(options);
  auto route = Loopback::a_route("a.test", {&app});
  route.force_https = true;
  loop.use({route});
  CHECK_THAT(loop.get("/p?q"),
             StartsWith("HTTP/1.1 301 ") && Contains("\r\nLocation: https://a.test:8443/p?q\r\n"));
  CHECK(body_of(loop.get("/", "X-Forwarded-Proto: https\r\n")) == "hi");
  Loopback plain;
  plain.use({route});
  CHECK(body_of(plain.get()) == "hi");
}
