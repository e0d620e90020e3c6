// The proxy's side of HTTP/2 to an instance, without a socket: bytes in, bytes out.
#include <catch2/catch.hpp>

#include "reverse-proxy/http2/client_stream.hpp"

using namespace karreg::proxy;
using namespace karreg::proxy::http2;
using namespace std::chrono_literals;

namespace {

std::string frame(char type, char flags, std::uint32_t stream, const std::string& payload) {
  std::string out;
  for (const int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift & 0xffU);
  out += {type, flags};
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift & 0xffU);
  return out + payload;
}
/// Its own, and the acknowledgement of ours, which hold from then on.
const std::string settings = frame(4, 0, 0, "") + frame(4, 1, 0, "");
/// ":status: 200", indexed.
const std::string ok = "\x88";

/// A session, and what it says.
struct Talk {
  Loop loop;
  BufferPool buffers{64UL * 1024};
  int changes = 0;
  ClientSession session{loop, buffers, {{}, 1s}, [this] { ++changes; }};
  http1::RequestHead head;
  http1::Target target;
  http1::ResponseHead answer;
  RequestLines lines;

  Talk() {
    (void)http1::parse_request("POST / HTTP/1.1\r\nHost: a.test\r\n\r\n", {}, head);
    (void)http1::read_target(head, target);
    lines.set(head, target, {}, {}, "http");
  }
  /// All that waits to be sent.
  std::string said() {
    std::string all;
    for (auto bytes = session.gather(); !bytes.empty(); bytes = session.gather()) all += bytes;
    return all;
  }
  std::unique_ptr<ClientStream> ask(bool body_comes = false) {
    auto stream = std::make_unique<ClientStream>(session);
    REQUIRE(stream->ask(lines, body_comes));
    return stream;
  }
  /// Types of the frames in @p bytes, one character each.
  static std::string types(std::string_view bytes) {
    std::string all;
    while (bytes.size() >= 9) {
      const auto byte = [&](std::size_t at) {
        return static_cast<std::size_t>(static_cast<unsigned char>(bytes[at]));
      };
      all += static_cast<char>('0' + byte(3));
      bytes.remove_prefix(9 + (byte(0) << 16U) + (byte(1) << 8U) + byte(2));
    }
    return all;
  }
};

/// Runs @p task, which must not have to wait.
template <class T>
T now(Task<T> task) {
  std::optional<T> result;
  [](Task<T> t, std::optional<T>& into) -> detail::Started {
    into.emplace(co_await t);
    co_return std::noop_coroutine();
  }(std::move(task), result);
  REQUIRE(result.has_value());
  return std::move(*result);
}

}  // namespace

TEST_CASE("a session greets first, and has room when it was greeted") {
  Talk talk;
  CHECK(talk.session.room() == 0);
  const auto said = talk.said();
  CHECK(said.starts_with("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  // SETTINGS, and the window of the connection.
  CHECK(Talk::types(std::string_view(said).substr(24)) == "48");
  REQUIRE(talk.session.take(settings));
  CHECK(talk.session.greeted());
  CHECK(talk.session.room() == 100 + 28);
  CHECK(talk.changes == 1);
  REQUIRE(talk.session.take(frame(4, 0, 0, std::string("\0\3\0\0\0\2", 6))));
  CHECK(talk.session.room() == 2);
  const auto stream = talk.ask();
  CHECK(talk.session.room() == 1);
}

TEST_CASE("an answer comes head, body and trailers after one another") {
  Talk talk;
  REQUIRE(talk.session.take(settings));
  const auto stream = talk.ask();
  (void)talk.said();
  // :status 103, a literal; then the answer.
  REQUIRE(talk.session.take(frame(1, 4, 1, std::string("\x08\x03") + "103") + frame(1, 4, 1, ok) +
                            frame(0, 0, 1, "body") +
                            frame(1, 5, 1, std::string("\x40\x01") + "x" + "\x01" + "1")));
  CHECK(now(stream->next_head(talk.answer)) == ClientStream::Came::head);
  CHECK(talk.answer.status == 103);
  CHECK(now(stream->next_head(talk.answer)) == ClientStream::Came::head);
  CHECK(talk.answer.status == 200);
  CHECK(talk.answer.reason == "OK");
  const auto piece = now(stream->next());
  CHECK(std::string_view(piece.bytes.data(), piece.bytes.size()) == "body");
  CHECK(piece.end == BodyReader::End::complete);
  REQUIRE(stream->trailers() != nullptr);
  stream->trailers()->for_each([](const http1::Field& field) {
    CHECK(field.name == "x");
    CHECK(field.value == "1");
  });
  CHECK(talk.session.streams() == 0);
}

TEST_CASE("whether an instance has looked at a request is known where it says so") {
  Talk talk;
  REQUIRE(talk.session.take(settings));
  auto stream = talk.ask();
  const auto refuse = frame(3, 0, 1, std::string("\0\0\0\7", 4));
  SECTION("refused") {
    (void)talk.said();
    REQUIRE(talk.session.take(refuse));
    CHECK(stream->unprocessed());
    CHECK(stream->was_reset());
  }
  SECTION("refused after a head, which nobody may do") {
    (void)talk.said();
    REQUIRE(talk.session.take(frame(1, 4, 1, ok) + refuse));
    CHECK_FALSE(stream->unprocessed());
  }
  SECTION("reset for another reason") {
    (void)talk.said();
    REQUIRE(talk.session.take(frame(3, 0, 1, std::string("\0\0\0\2", 4))));
    CHECK_FALSE(stream->unprocessed());
  }
  SECTION("left behind by GOAWAY") {
    auto second = talk.ask();
    (void)talk.said();
    REQUIRE(talk.session.take(frame(7, 0, 0, std::string("\0\0\0\1\0\0\0\0", 8))));
    CHECK(second->unprocessed());
    CHECK_FALSE(second->was_reset());
    CHECK_FALSE(stream->unprocessed());
    CHECK(talk.session.leaving());
    CHECK(talk.session.room() == 0);
    CHECK_FALSE(talk.session.done());
    REQUIRE(talk.session.take(frame(1, 5, 1, ok)));
    CHECK(now(stream->next_head(talk.answer)) == ClientStream::Came::head);
    (void)talk.said();
    CHECK(talk.session.done());
  }
  SECTION("not sent when the connection ended") {
    talk.session.end("over");
    CHECK(stream->unprocessed());
  }
  SECTION("sent when the connection ended") {
    (void)talk.said();
    talk.session.end("over");
    CHECK_FALSE(stream->unprocessed());
  }
}

TEST_CASE("windows open for what was handed out, and no further") {
  Talk talk;
  REQUIRE(talk.session.take(settings));
  auto stream = talk.ask();
  (void)talk.said();
  std::string body;
  for (int i = 0; i < 8; ++i) body += frame(0, 0, 1, std::string(16'000, 'x'));
  REQUIRE(talk.session.take(frame(1, 4, 1, ok) + body));
  // The acknowledgement of the settings was said before.
  CHECK(talk.said().empty());
  CHECK(now(stream->next_head(talk.answer)) == ClientStream::Came::head);
  CHECK(now(stream->next()).bytes.size() == 128'000);
  CHECK(talk.said().empty());
  CHECK(stream->buffered().bytes.empty());
  CHECK(Talk::types(talk.said()) == "8");
  SECTION("more than that breaks the stream") {
    std::string more;
    for (int i = 0; i < 9; ++i) more += frame(0, 0, 1, std::string(16'000, 'x'));
    REQUIRE(talk.session.take(more));
    CHECK(Talk::types(talk.said()) == "3");
    // The frame that was too much is the last one that is taken.
    CHECK(now(stream->next()).bytes.size() <= 144'000);
    CHECK(now(stream->next()).end == BodyReader::End::closed);
    CHECK(talk.session.room() == 128);
  }
  SECTION("who goes away resets it") {
    stream.reset();
    CHECK(Talk::types(talk.said()) == "3");
    CHECK(talk.session.room() == 128);
    // What was on its way costs nothing.
    REQUIRE(talk.session.take(frame(0, 1, 1, "late")));
  }
}

TEST_CASE("a session that is over says why") {
  Talk talk;
  SECTION("HTTP/1.1") {
    CHECK_FALSE(talk.session.take("HTTP/1.1 400 Bad Request\r\n\r\n"));
    talk.session.end("ended");
    CHECK(talk.session.why() == "it answers with HTTP/1.1, not with HTTP/2");
  }
  SECTION("nothing that is known") {
    (void)talk.session.take("SSH-2.0-OpenSSH_9.2\r\n and some more bytes");
    (void)talk.said();
    CHECK(talk.session.done());
    talk.session.end("ended");
    CHECK_THAT(talk.session.why(), Catch::StartsWith("it does not keep to HTTP/2: "));
  }
  SECTION("the end of its connection") {
    talk.session.end("ended");
    CHECK(talk.session.why() == "ended");
  }
  CHECK(talk.session.over());
  CHECK(talk.session.room() == 0);
  CHECK_FALSE(talk.session.take(settings));
}
