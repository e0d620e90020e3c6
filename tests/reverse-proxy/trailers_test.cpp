#include "reverse-proxy/http1/trailers.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "reverse-proxy/http1/chunk_frame.hpp"

using namespace karreg::proxy::http1;

namespace {

/// What is wrong with @p lines as trailers, or how they are passed on after a piece of a body.
std::string passed(const std::vector<std::string>& lines, const HeadLimits& limits = {}) {
  Trailers trailers;
  for (const auto& line : lines) {
    const auto why = trailers.add_line(line, limits);
    if (why) return std::string(*why);
  }
  if (trailers.empty()) return "none";
  const ChunkFrame frame(std::span("ab", 2), true, BodyKind::chunked, &trailers);
  return std::string(frame.after());
}

}  // namespace

TEST_CASE("trailers that may be passed on are, however they are written") {
  CHECK(passed({}) == "none");
  CHECK(passed({"X-Sum: 1"}) == "\r\n0\r\nX-Sum: 1\r\n\r\n");
  CHECK(passed({"a:\t b c \t", "A:", "grpc-status:0"}) ==
        "\r\n0\r\na: b c\r\nA: \r\ngrpc-status: 0\r\n\r\n");
  for (const auto* name : {"ETag", "Digest", "Content-Digest", "Repr-Digest", "Server-Timing",
                           "Grpc-Message", "x-amz-checksum-crc32", "X-Hostname", "Daten"}) {
    INFO(name);
    CHECK(may_trail(name));
    CHECK(passed({std::string(name) + ": 1"}) == "\r\n0\r\n" + std::string(name) + ": 1\r\n\r\n");
  }
}

TEST_CASE("of a message that has no data the trailers follow the last chunk, too") {
  Trailers trailers;
  REQUIRE_FALSE(trailers.add({"a", "1"}, {}));
  REQUIRE_FALSE(trailers.add({"b", ""}, {}));
  const ChunkFrame frame({}, true, BodyKind::chunked, &trailers);
  CHECK(std::string(frame.before()).empty());
  CHECK(frame.after() == "0\r\na: 1\r\nb: \r\n\r\n");
  // Another framing has no place for them, and they come after the last piece only.
  CHECK(ChunkFrame({}, true, BodyKind::length, &trailers).after().empty());
  CHECK(ChunkFrame({}, true, BodyKind::until_close, &trailers).after().empty());
  CHECK(ChunkFrame(std::span("ab", 2), false, BodyKind::chunked, &trailers).after() == "\r\n");
  std::vector<std::string> fields;
  trailers.for_each([&](const Field& field) {
    fields.push_back(std::string(field.name) + "=" + std::string(field.value));
  });
  CHECK(fields == std::vector<std::string>{"a=1", "b="});
}

TEST_CASE("what is said after the body cannot change where it ends, who asks, or what it is") {
  for (const auto* name : {"Content-Length",
                           "Transfer-Encoding",
                           "Host",
                           "Connection",
                           "TE",
                           "Trailer",
                           "Upgrade",
                           "Keep-Alive",
                           "Proxy-Connection",
                           "Proxy-Authorization",
                           "Authorization",
                           "Cookie",
                           "Set-Cookie",
                           "WWW-Authenticate",
                           "Content-Type",
                           "Content-Encoding",
                           "Content-Range",
                           "Content-Security-Policy",
                           "Cache-Control",
                           "Expires",
                           "Vary",
                           "Age",
                           "Date",
                           "Location",
                           "Expect",
                           "Max-Forwards",
                           "If-Match",
                           "If-None-Match",
                           "Range",
                           "Accept-Encoding",
                           "X-Forwarded-For",
                           "X-Forwarded-Proto",
                           "Forwarded",
                           "X-Real-IP",
                           "X-Request-Id",
                           "traceparent",
                           "tracestate",
                           "Sec-WebSocket-Key",
                           "X-HTTP-Method-Override",
                           "Access-Control-Allow-Origin",
                           "Strict-Transport-Security",
                           "HTTP2-Settings",
                           "X-Original-URL",
                           "X-Rewrite-URL"}) {
    INFO(name);
    std::string other(name);
    for (auto& c : other) c = c == '-' ? '_' : static_cast<char>(std::tolower(c));
    CHECK_FALSE(may_trail(name));
    CHECK_FALSE(may_trail(other));
    // Left out, and the others stay.
    CHECK(passed({std::string(name) + ": 5"}) == "none");
    CHECK(passed({"a: 1", other + ": 5", "b: 2"}) == "\r\n0\r\na: 1\r\nb: 2\r\n\r\n");
  }
}

TEST_CASE("a line that is no field, and more than heads may have, is refused in trailers") {
  CHECK(passed({"a: 1", " folded: 2"}) == "a trailer is folded over two lines");
  CHECK(passed({"a: 1", "\tfolded: 2"}) == "a trailer is folded over two lines");
  CHECK(passed({"GET /hidden HTTP/1.1"}) == "a trailer has no colon");
  const std::string bad_name = "a trailer's name is empty or has a character that is not allowed";
  CHECK(passed({"GET /hidden HTTP/1.1:"}) == bad_name);
  CHECK(passed({": 1"}) == bad_name);
  CHECK(passed({"a : 1"}) == bad_name);
  CHECK(passed({"Content-Length : 1"}) == bad_name);
  CHECK(passed({std::string("a: \0", 4)}) == "a trailer's value has a control character");
  CHECK(passed({"a: b\rc"}) == "a trailer's value has a control character");
  const std::vector<std::string> hundred(100, "a: 1");
  CHECK(passed(hundred).size() == 3 + 2 + 100 * 6 + 2);
  auto more = hundred;
  more.push_back("Cookie: also counts");
  CHECK(passed(more) == "there are too many trailers");
  CHECK(passed({"a: 12", "b: 34"}, {.bytes = 6}).starts_with("\r\n0\r\n"));
  CHECK(passed({"a: 12", "b: 345"}, {.bytes = 6}) == "the trailers are too long");
}
