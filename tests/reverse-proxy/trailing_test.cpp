// Trailers between real sockets: HTTP/1.1 and HTTP/2, both ways.
#include <catch2/catch.hpp>

#include "reverse-proxy/http2_peer.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using Catch::Contains;
using Catch::EndsWith;

namespace {

const std::string post = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string hidden = "GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// Answers requests with chunks, and keeps what it got, up to the empty line after trailers.
struct Keeper {
  std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
  std::mutex mutex;
  std::string got;
  App app{[this](Peer& peer, int) {
    for (;;) {
      auto text = peer.read_head();
      if (text.find("\r\nTransfer-Encoding: chunked\r\n") != std::string::npos) {
        text += peer.read_until("0\r\n");
        // The line after the last chunk, and the others until the empty one.
        for (std::string line = "any"; line.size() > 2;) {
          line = peer.read_until("\r\n");
          text += line;
        }
      } else if (const auto length = Peer::content_length(text); length > 0) {
        text += peer.read_exactly(length);
      }
      if (text.empty()) return;
      {
        const std::lock_guard lock(mutex);
        got = text;
      }
      if (!peer.send(answer)) return;
    }
  }};
  std::string taken() {
    const std::lock_guard lock(mutex);
    return got;
  }
};

std::vector<nghttp2_nv> list_of(const Http2Peer::Fields& fields) {
  std::vector<nghttp2_nv> list;
  for (const auto& [name, value] : fields)
    list.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                    reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(),
                    value.size(), NGHTTP2_NV_FLAG_NONE});
  return list;
}

/// Ends an open request with @p trailers.
void end_with(Http2Peer& client, std::int32_t id, const Http2Peer::Fields& trailers) {
  const auto list = list_of(trailers);
  nghttp2_submit_headers(client.session(), NGHTTP2_FLAG_END_STREAM, id, nullptr, list.data(),
                         list.size(), nullptr);
  client.flush();
}

const std::string with_trailers =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Status\r\n\r\n"
    "5\r\nhello\r\n0\r\nGrpc-Status: 7\r\nSet-Cookie: a=b\r\nContent-Length: 9\r\n"
    "Grpc-Message: no\r\n\r\n";

}  // namespace

TEST_CASE("trailers of a request by HTTP/1.1 reach the application, but not those that must not") {
  Keeper keeper;
  Loopback loop;
  loop.serve({&keeper.app});
  auto client = loop.client();
  // In pieces, too.
  for (const auto* chunks : {"5\r\nhello\r\n0\r\n", "0\r\n"}) {
    client.send(post + chunks + "X-Sum: 1\r\nContent-Length: 3\r\nHo");
    client.send("st: b.test\r\nTransfer-Encoding: gzip\r\nX-Last:2\r\n\r\n");
    CHECK(body_of(client.read_message()) == "hi");
    CHECK_THAT(keeper.taken(), EndsWith("\r\n0\r\nX-Sum: 1\r\nX-Last: 2\r\n\r\n"));
    CHECK_THAT(keeper.taken(), !Contains("b.test") && !Contains("gzip") && !Contains("Length"));
  }
}

TEST_CASE("trailers that two readers could take for different things reach no application whole") {
  Keeper keeper;
  Loopback loop;
  loop.serve({&keeper.app});
  for (const std::string lines :
       {"X: a\r\n b\r\n\r\n", "GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n", "X : a\r\n\r\n",
        ": a\r\n\r\n", "Content-Length\r\n\r\n", "X: a\nY: b\r\n\r\n", "X: a\rY: b\r\n\r\n"}) {
    INFO(lines);
    const auto answer = loop.talk(post + "5\r\nhello\r\n0\r\n" + lines + hidden);
    CHECK(status_of(answer) == "400");
    CHECK_THAT(answer, !Contains("hi\r\n") && !EndsWith("hi"));
    // What comes last is said only when all of it is known to be good.
    CHECK_THAT(keeper.taken(), !Contains("\r\n0\r\n"));
  }
  std::string many;
  for (int i = 0; i < 101; ++i) many += "a: 1\r\n";
  CHECK(status_of(loop.talk(post + "0\r\n" + many + "\r\n" + hidden)) == "400");
  CHECK(status_of(loop.talk(post + "0\r\nX: " + letters(20'000) + "\r\n\r\n")) == "400");
  CHECK_THAT(keeper.taken(), !Contains("/hidden"));
  CHECK(body_of(loop.get("/after")) == "hi");
}

TEST_CASE("trailers of an answer go to a client of HTTP/1.1 that takes them, and to no other") {
  Keeper keeper;
  keeper.answer = with_trailers;
  Loopback loop;
  loop.serve({&keeper.app});
  auto client = loop.client();
  const std::string get = "GET / HTTP/1.1\r\nHost: a.test\r\n";
  // Nothing of the one is left for the next one.
  for (int i = 0; i < 2; ++i) {
    client.send(get + "TE: gzip, Trailers\r\nConnection: TE\r\n\r\n");
    CHECK_THAT(client.read_until("no\r\n\r\n"),
               EndsWith("\r\n\r\n5\r\nhello\r\n0\r\nGrpc-Status: 7\r\nGrpc-Message: no\r\n\r\n"));
    CHECK_THAT(keeper.taken(), Contains("\r\nTE: trailers\r\nConnection: TE\r\n"));
    for (const std::string te : {"", "TE: gzip\r\n", "TE: trailers-not\r\n"}) {
      client.send(get + te + "\r\n");
      CHECK_THAT(client.read_until("\r\n0\r\n\r\n"), EndsWith("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
      CHECK_THAT(keeper.taken(), !Contains("TE: ") && !Contains("Connection:"));
    }
  }
  const auto old = loop.talk("GET / HTTP/1.0\r\nHost: a.test\r\nTE: trailers\r\n\r\n");
  CHECK_THAT(old, EndsWith("\r\n\r\nhello"));
  CHECK_THAT(keeper.taken(), !Contains("TE: "));
}

TEST_CASE("an answer that breaks off in its trailers is not passed off as complete") {
  Keeper keeper;
  const auto whole = with_trailers.substr(0, with_trailers.size() - 2);
  keeper.answer = whole + GENERATE(std::string(" folded\r\n\r\n"), std::string("no colon\r\n\r\n"),
                                   std::string("X: \0\r\n\r\n", 8));
  SecureLoopback loop;
  loop.serve({&keeper.app});
  // The first piece has all of it: there is still another answer.
  CHECK(status_of(loop.get("/", "TE: trailers\r\n")) == "502");
  Http2Peer client(loop.proxy.tls_port());
  CHECK(client.fetch(Http2Peer::get()).status() == "502");
}

TEST_CASE("trailers come by HTTP/2 and go to an application that speaks HTTP/1.1") {
  Keeper keeper;
  SecureLoopback loop;
  loop.serve({&keeper.app});
  Http2Peer client(loop.proxy.tls_port());
  const std::string body = GENERATE(std::string(), std::string("hello"));
  const Http2Peer::Fields trailers{
      {"x-sum", "1"}, {"cookie", "a=b"}, {"x-forwarded-host", "b.test"}, {"x", ""}};
  SECTION("after a body of unknown length") {
    const auto id = client.ask(Http2Peer::post({{"te", "trailers"}}), body, true);
    end_with(client, id, trailers);
    CHECK(client.wait(id).body == "hi");
    CHECK_THAT(keeper.taken(), EndsWith("0\r\nx-sum: 1\r\nx: \r\n\r\n"));
    CHECK_THAT(keeper.taken(), Contains("\r\nTE: trailers\r\nConnection: TE\r\n"));
    CHECK_THAT(keeper.taken(), !Contains("b.test") && !Contains("a=b"));
  }
  SECTION("a length has no place for them") {
    const auto length = std::to_string(body.size());
    const auto id = client.ask(Http2Peer::post({{"content-length", length}}), body, true);
    end_with(client, id, trailers);
    CHECK(client.wait(id).status() == "200");
    CHECK_THAT(keeper.taken(), EndsWith("\r\n\r\n" + body));
  }
  SECTION("those about the framing are malformed") {
    const auto id = client.ask(Http2Peer::post(), body, true);
    end_with(client, id, {{"transfer-encoding", "chunked"}});
    CHECK(client.wait(id).error == NGHTTP2_PROTOCOL_ERROR);
    CHECK_THAT(keeper.taken(), !Contains("\r\n0\r\n"));
  }
}

TEST_CASE("trailers by HTTP/2 are bounded as heads are") {
  Keeper keeper;
  SecureLoopback loop;
  loop.serve({&keeper.app});
  Http2Peer client(loop.proxy.tls_port());
  Http2Peer::Fields trailers;
  SECTION("in number") {
    for (int i = 0; i < 101; ++i) trailers.emplace_back("a", "1");
  }
  SECTION("in bytes") {
    for (int i = 0; i < 5; ++i) trailers.emplace_back("a", letters(4'000));
  }
  // A body of known length waits in the proxy until it is whole.
  const Http2Peer::Fields length{{"content-length", "5"}};
  for (const auto& fields : {Http2Peer::Fields{}, length}) {
    const auto id = client.ask(Http2Peer::post(fields), "hello", true);
    end_with(client, id, trailers);
    CHECK(client.wait(id).status() == "400");
  }
  // The connection goes on.
  CHECK(client.fetch(Http2Peer::get("/after")).body == "hi");
}

TEST_CASE("trailers of an answer go to a client of HTTP/2, also before its body is through") {
  Keeper keeper;
  SecureLoopback loop;
  loop.serve({&keeper.app});
  Http2Peer client(loop.proxy.tls_port());
  const bool empty = GENERATE(true, false);
  keeper.answer = with_trailers;
  if (empty) keeper.answer.replace(with_trailers.find("5\r\nhello\r\n"), 10, "");
  const auto fields = Http2Peer::get("/", "a.test");
  auto check = [&](const Http2Peer::Answer& answer) {
    CHECK(answer.status() == "200");
    CHECK(answer.body == (empty ? "" : "hello"));
    CHECK(answer.error == NGHTTP2_NO_ERROR);
    CHECK(answer.field("grpc-status") == "7");
    CHECK(answer.field("grpc-message") == "no");
    CHECK(answer.field("set-cookie") == "absent");
    CHECK(answer.field("content-length") == "absent");
    CHECK(answer.fields.back().first == "grpc-message");
  };
  SECTION("after it") {
    for (int i = 0; i < 3; ++i) check(client.fetch(fields));
  }
  SECTION("many at once") {
    std::vector<std::int32_t> asked;
    for (int i = 0; i < 50; ++i) asked.push_back(client.ask(fields));
    for (const auto id : asked) check(client.wait(id));
  }
}

TEST_CASE("an answer with trailers before the request is through ends the stream without error") {
  App app([](Peer& peer, int) {
    (void)peer.read_head();
    peer.send(with_trailers);
    (void)peer.read_to_end();
  });
  SecureLoopback loop;
  loop.serve({&app});
  Http2Peer client(loop.proxy.tls_port());
  const auto id = client.ask(Http2Peer::post(), "begin", true);
  const auto& answer = client.wait(id);
  CHECK(answer.body == "hello");
  CHECK(answer.field("grpc-status") == "7");
  CHECK(answer.error == NGHTTP2_NO_ERROR);
}
