// Applications that speak HTTP/2 as they must not: what it costs is bounded, and stays theirs.
#include <catch2/catch.hpp>

#include "reverse-proxy/http2_instance.hpp"
#include "reverse-proxy/http2_peer.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;

namespace {

using Server = Http2Instance::Server;
using Request = Http2Instance::Request;

const Http2Instance::Fields fine{{":status", "200"}};

/// A frame (RFC 9113 §4.1).
std::string frame(char type, char flags, std::uint32_t stream, const std::string& payload) {
  std::string out;
  for (const int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift & 0xffU);
  out += {type, flags};
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift & 0xffU);
  return out + payload;
}

/// Does @p act for each request but those for /well, which it answers.
Http2Instance::Behaviour but_well(std::function<void(Server&, Request&)> act) {
  Http2Instance::Behaviour behaviour;
  behaviour.whole = [act = std::move(act)](Server& server, Request& request) {
    if (request.path() == "/well")
      server.answer(request.id, fine, "well");
    else
      act(server, request);
  };
  return behaviour;
}

}  // namespace

TEST_CASE("answers by HTTP/2 that cannot be passed on are a 502, and the connection goes on") {
  Http2Instance::Behaviour behaviour;
  std::string why;
  SECTION("a header that is too large") {
    behaviour = but_well([](Server& server, Request& request) {
      server.answer(request.id,
                    {{":status", "200"}, {"a", letters(10'000)}, {"b", letters(9'000)}});
    });
    why = "the answer's header is too large";
  }
  SECTION("too many fields") {
    behaviour = but_well([](Server& server, Request& request) {
      auto fields = fine;
      for (int i = 0; i < 120; ++i) fields.emplace_back("a", "b");
      server.answer(request.id, fields);
    });
    why = "the answer's header is too large";
  }
  SECTION("no status") {
    behaviour = but_well(
        [](Server& server, Request& request) { server.answer(request.id, {{"a", "b"}}, "body"); });
  }
  SECTION("a status that is none") {
    behaviour = but_well(
        [](Server& server, Request& request) { server.answer(request.id, {{":status", "0x1"}}); });
  }
  SECTION("a switch of protocols") {
    behaviour = but_well(
        [](Server& server, Request& request) { server.inform(request.id, {{":status", "101"}}); });
  }
  SECTION("a field about the connection") {
    behaviour = but_well([](Server& server, Request& request) {
      server.answer(request.id, {{":status", "200"}, {"transfer-encoding", "chunked"}}, "body");
    });
  }
  SECTION("a pseudo field of requests") {
    behaviour = but_well([](Server& server, Request& request) {
      server.answer(request.id, {{":status", "200"}, {":path", "/"}}, "body");
    });
  }
  SECTION("a field with a line break") {
    behaviour = but_well([](Server& server, Request& request) {
      server.answer(request.id, {{":status", "200"}, {"x", "a\r\nset-cookie: b=c"}}, "body");
    });
  }
  SECTION("a name in upper case") {
    behaviour = but_well([](Server& server, Request& request) {
      server.raw(frame(1, 5, static_cast<std::uint32_t>(request.id),
                       "\x88\x40\x01"
                       "A"
                       "\x01"
                       "b"));
    });
  }
  SECTION("a body before the head") {
    behaviour = but_well([](Server& server, Request& request) {
      server.raw(frame(0, 1, static_cast<std::uint32_t>(request.id), "body"));
    });
  }
  SECTION("informational answers without end") {
    behaviour = but_well([](Server& server, Request& request) {
      for (int i = 0; i < 100; ++i) server.inform(request.id, {{":status", "103"}, {"a", "b"}});
    });
    why = "informational answers without end";
  }
  Http2Instance instance(behaviour);
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  auto post = Http2Peer::post();
  Http2Peer client(loop.proxy.tls_port());
  for (int i = 0; i < 2; ++i) {
    const auto answer = client.fetch(post, "x");
    CHECK(answer.status() == "502");
    CHECK_THAT(answer.body, Contains(why));
    CHECK_THAT(loop.get("/well"), Contains("well"));
  }
}

TEST_CASE("an answer by HTTP/2 that is longer or shorter than it says is not passed off as whole") {
  const std::string length = GENERATE("3", "300");
  Http2Instance instance(but_well([&](Server& server, Request& request) {
    server.answer(request.id, {{":status", "200"}, {"content-length", length}}, "body");
  }));
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  Http2Peer client(loop.proxy.tls_port());
  const auto answer = client.fetch(Http2Peer::get());
  const bool told = answer.status() == "502" || answer.error == NGHTTP2_INTERNAL_ERROR;
  CHECK(told);
  auto old = loop.client();
  old.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  const auto text = old.read_message();
  CHECK((status_of(text) == "502" || !old.complete()));
  CHECK_THAT(loop.get("/well"), Contains("well"));
}

TEST_CASE("bad trailers of an answer by HTTP/2 break it off") {
  Http2Instance::Fields trailers;
  SECTION("too long") {
    trailers = {{"a", letters(10'000)}, {"b", letters(9'000)}};
  }
  SECTION("a status") {
    trailers = {{":status", "200"}};
  }
  SECTION("about the framing") {
    trailers = {{"transfer-encoding", "chunked"}};
  }
  Http2Instance instance(but_well([&](Server& server, Request& request) {
    server.answer(request.id, fine, "body", false, trailers);
  }));
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  Http2Peer client(loop.proxy.tls_port());
  const auto answer = client.fetch(Http2Peer::get());
  const bool told = answer.status() == "502" || answer.error == NGHTTP2_INTERNAL_ERROR;
  CHECK(told);
  CHECK_THAT(loop.get("/well"), Contains("well"));
}

TEST_CASE("more of an answer than the window allows breaks it off, and is not kept") {
  Http2Instance instance(but_well([](Server& server, Request& request) {
    const auto id = static_cast<std::uint32_t>(request.id);
    std::string out = frame(1, 4, id, "\x88");
    for (int i = 0; i < 500; ++i) out += frame(0, 0, id, letters(16'000));
    server.raw(out);
  }));
  SecureLoopback loop;
  loop.use({spoken_to("h2c", {&instance.app()})});
  Http2Peer client(loop.proxy.tls_port());
  for (int i = 0; i < 5; ++i) {
    const auto answer = client.fetch(Http2Peer::get());
    const bool told = answer.status() == "502" || answer.error == NGHTTP2_INTERNAL_ERROR;
    CHECK(told);
    CHECK(answer.body.size() <= 256UL * 1024);
  }
  CHECK_THAT(loop.get("/well"), Contains("well"));
}

TEST_CASE("an instance that breaks HTTP/2 itself is left, and the next connection is another one") {
  std::function<void(Server&, Request&)> act;
  SECTION("a push") {
    act = [](Server& server, Request&) {
      server.raw(frame(5, 4, 1, std::string("\0\0\0\2\x88", 5)));
    };
  }
  SECTION("CONTINUATION without end") {
    act = [](Server& server, Request& request) {
      const auto id = static_cast<std::uint32_t>(request.id);
      std::string out = frame(1, 0, id, "\x88");
      for (int i = 0; i < 2'000; ++i)
        out += frame(9, 0, id,
                     "\x40\x01"
                     "a"
                     "\x01"
                     "b");
      server.raw(out);
    };
  }
  SECTION("a field that HPACK does not know") {
    act = [](Server& server, Request& request) {
      server.raw(frame(1, 5, static_cast<std::uint32_t>(request.id), "\xff\xff\xff\xff\x0f"));
    };
  }
  SECTION("a frame that is too long") {
    act = [](Server& server, Request& request) {
      server.raw(frame(0, 0, static_cast<std::uint32_t>(request.id), letters(20'000)));
    };
  }
  SECTION("a stream of its own") {
    act = [](Server& server, Request&) { server.raw(frame(1, 5, 2, "\x88")); };
  }
  SECTION("a window that overflows") {
    act = [](Server& server, Request&) {
      server.raw(frame(8, 0, 0, "\x7f\xff\xff\xff") + frame(8, 0, 0, "\x7f\xff\xff\xff"));
    };
  }
  SECTION("HTTP/1.1 in the middle") {
    act = [](Server& server, Request&) { server.raw("HTTP/1.1 200 OK\r\n\r\n" + letters(100)); };
  }
  Http2Instance instance(but_well(act));
  ProxyOptions options = with_tls();
  options.limits.answer_time = 3s;
  SecureLoopback loop(options);
  loop.use({spoken_to("h2c", {&instance.app()})});
  for (int i = 0; i < 2; ++i) {
    Http2Peer client(loop.proxy.tls_port());
    const auto answer = client.fetch(Http2Peer::post(), "x");
    const bool told = answer.status() == "502" || answer.error == NGHTTP2_INTERNAL_ERROR;
    CHECK(told);
    CHECK(eventually([&] { return instance.app().closed() == i + 1; }));
    CHECK(eventually([&] { return loop.get("/well").find("well") != std::string::npos; }));
  }
}

TEST_CASE("an instance that floods a connection with questions and reads no answer is left") {
  const std::string flood = GENERATE(frame(6, 0, 0, "12345678"), frame(4, 0, 0, ""));
  Http2Instance instance(but_well([&](Server& server, Request&) {
    std::string out;
    for (int i = 0; i < 200'000; ++i) out += flood;
    server.raw(out);
  }));
  ProxyOptions options = with_tls();
  options.limits.answer_time = 3s;
  SecureLoopback loop(options);
  loop.use({spoken_to("h2c", {&instance.app()})});
  const auto status =
      status_of(loop.talk("POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n"
                          "Content-Length: 1\r\n\r\nx"));
  CHECK((status == "502" || status == "504"));
  CHECK_THAT(loop.get("/well"), Contains("well"));
}

TEST_CASE("an instance that takes nothing costs a visitor no more than his time") {
  Http2Instance::Behaviour behaviour;
  behaviour.settings = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}};
  Http2Instance instance(behaviour);
  ProxyOptions options = with_tls();
  options.limits.answer_time = 300ms;
  SecureLoopback loop(options);
  loop.use({spoken_to("h2c", {&instance.app()})});
  CHECK(status_of(loop.talk("POST / HTTP/1.1\r\nHost: a.test\r\nConnection: "
                            "close\r\nContent-Length: 4\r\n\r\nbody")) == "504");
  CHECK(eventually([&] { return instance.only().error == NGHTTP2_CANCEL; }));
  CHECK(instance.only().body.empty());
}

TEST_CASE(
    "an instance that allows no stream, or leaves each connection at once, is not asked for ever") {
  Http2Instance::Behaviour behaviour;
  SECTION("none") {
    behaviour.settings = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0}};
  }
  SECTION("leaves") {
    behaviour.begun = [](Server& server) { server.go_away(0); };
  }
  Http2Instance instance(behaviour);
  ProxyOptions options = with_tls();
  options.limits.connect_time = 300ms;
  options.limits.attempts = 2;
  SecureLoopback loop(options);
  loop.use({spoken_to("h2c", {&instance.app()})});
  CHECK(status_of(loop.get()) == "503");
  CHECK(instance.app().connections() <= 6);
  CHECK(instance.requests().empty());
}
