#include "reverse-proxy/http1/body.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <string>

using namespace karreg::proxy::http1;

namespace {
std::string say(const FramingOr& framing) {
  if (const auto* refusal = std::get_if<Refusal>(&framing))
    return std::to_string(refusal->status) + " " + std::string(refusal->why);
  const auto& f = std::get<Framing>(framing);
  switch (f.kind) {
    case BodyKind::none:
      return "none";
    case BodyKind::length:
      return "length " + std::to_string(f.length);
    case BodyKind::chunked:
      return "chunked";
    case BodyKind::until_close:
      return "until close";
  }
  return "?";
}

std::string of_request(const std::string& fields, const std::string& version = "1.1") {
  const std::string text = "POST / HTTP/" + version + "\r\n" + fields + "\r\n";
  RequestHead head;
  REQUIRE_FALSE(parse_request(text, {}, head));
  return say(request_framing(head));
}

std::string of_response(int status, const std::string& fields, bool head_request = false) {
  const std::string text = "HTTP/1.1 " + std::to_string(status) + " X\r\n" + fields + "\r\n";
  ResponseHead head;
  REQUIRE_FALSE(parse_response(text, {}, head));
  return say(response_framing(head, head_request));
}

struct Decoded {
  std::string payload;
  std::string rest;
  bool done = false;
  std::string refusal;
};

/// Feeds @p text in pieces of @p piece bytes.
Decoded decode(const std::string& text, std::size_t piece) {
  Decoded result;
  ChunkDecoder decoder;
  std::size_t at = 0;
  while (at < text.size() && !result.done) {
    std::string part = text.substr(at, piece);
    const auto step = decoder.decode(part);
    result.payload += part.substr(0, step.payload);
    at += step.consumed;
    result.done = step.done;
    if (step.refusal) {
      result.refusal = step.refusal->why;
      return result;
    }
  }
  result.rest = text.substr(at);
  return result;
}
}  // namespace

TEST_CASE("the body of a request ends where every reader agrees, or it is refused") {
  CHECK(of_request("") == "none");
  CHECK(of_request("Content-Length: 0\r\n") == "none");
  CHECK(of_request("Content-Length: 5\r\n") == "length 5");
  CHECK(of_request("Transfer-Encoding: Chunked\r\n") == "chunked");
  CHECK(of_request("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") ==
        "400 Content-Length and Transfer-Encoding contradict each other");
  CHECK(of_request("Content-Length: 5\r\nContent-Length: 5\r\n") ==
        "400 Content-Length is there more than once");
  CHECK(of_request("Content-Length: 5\r\nContent-Length: 6\r\n") ==
        "400 Content-Length is there more than once");
  for (const auto* bad : {"5, 5", "+5", "-1", "0x5", "5 5", "", "99999999999999999999"}) {
    INFO(bad);
    CHECK(of_request("Content-Length: " + std::string(bad) + "\r\n") ==
          "400 Content-Length is not a number of bytes");
  }
  for (const auto* bad :
       {"gzip, chunked", "chunked, identity", "identity", "\"chunked\"", "xchunked"}) {
    INFO(bad);
    CHECK(of_request("Transfer-Encoding: " + std::string(bad) + "\r\n") ==
          "501 the only Transfer-Encoding is chunked");
  }
  CHECK(of_request("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") ==
        "400 Transfer-Encoding is there more than once");
  CHECK(of_request("Transfer-Encoding: chunked\r\n", "1.0") ==
        "400 HTTP/1.0 has no Transfer-Encoding");
}

TEST_CASE("the body of an answer follows its status and the request's method") {
  CHECK(of_response(200, "Content-Length: 5\r\n") == "length 5");
  CHECK(of_response(200, "Content-Length: 0\r\n") == "length 0");
  CHECK(of_response(200, "Transfer-Encoding: chunked\r\n") == "chunked");
  CHECK(of_response(200, "") == "until close");
  CHECK(of_response(200, "Content-Length: 5\r\n", true) == "none");
  CHECK(of_response(204, "Content-Length: 5\r\n") == "none");
  CHECK(of_response(304, "Content-Length: 5\r\n") == "none");
  CHECK(of_response(100, "") == "none");
  CHECK(of_response(200, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") ==
        "502 Content-Length and Transfer-Encoding contradict each other");
}

TEST_CASE("chunks are decoded however their bytes come") {
  const std::string text =
      "5\r\nhello\r\n1;ext=\"v\"\r\n \r\n0005\r\nworld\r\n0\r\nTrailer: x\r\nB: c\r\n\r\nnext";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    INFO("piece " << piece);
    const auto result = decode(text, piece);
    CHECK(result.payload == "hello world");
    CHECK(result.done);
    CHECK(result.rest == "next");
  }
}

TEST_CASE("a chunk that two decoders could read in two ways is refused") {
  struct Case {
    std::string text;
    std::string why;
  };
  for (const auto& c : {
           Case{"\r\n", "a chunk has no size"},
           Case{"g\r\n", "a chunk has no size"},
           Case{"-1\r\n", "a chunk has no size"},
           Case{"0x5\r\nhello\r\n", "a chunk's size is not hexadecimal"},
           Case{"5 \r\nhello\r\n", "a chunk's size is not hexadecimal"},
           Case{"5\nhello\r\n", "a chunk's size is not hexadecimal"},
           Case{"5\r\rhello\r\n", "a chunk's size does not end in CR LF"},
           Case{"5;a\nb\r\nhello\r\n", "a chunk extension has a control character"},
           Case{"5\r\nhello!\r\n", "a chunk is longer than its size"},
           Case{"5\r\nhello\n0\r\n\r\n", "a chunk is longer than its size"},
           Case{"1000000000000000\r\n", "a chunk is too large"},
           Case{"0\r\nA: b\n\r\n", "a trailer has a control character"},
           Case{"0\r\nA: b\r\r\n", "a trailer does not end in CR LF"},
           Case{"0\r\nA: b\r\n c\r\n", "a trailer is folded over two lines"},
           Case{"0\r\nA\r\n", "a trailer has no colon"},
           Case{"0\r\nA: " + std::string(17'000, 'x'), "chunk extensions or trailers are too long"},
           Case{"5;" + std::string(17'000, 'x'), "chunk extensions or trailers are too long"},
       }) {
    INFO(c.text.substr(0, 40));
    CHECK(decode(c.text, 7).refusal == c.why);
    CHECK(decode(c.text, c.text.size()).refusal == c.why);
  }
}

TEST_CASE("random payloads come through random chunks and random pieces") {
  const auto seed = Catch::rngSeed();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  auto up_to = [&](std::size_t most) {
    return std::uniform_int_distribution<std::size_t>(1, most)(random);
  };
  for (int round = 0; round < 200; ++round) {
    std::string payload;
    std::string text;
    const auto chunks = up_to(8);
    for (std::size_t i = 0; i < chunks; ++i) {
      std::string chunk(up_to(3000), '\0');
      for (auto& c : chunk) c = static_cast<char>(random());
      char size[16];
      (void)std::snprintf(size, sizeof size, "%zx\r\n", chunk.size());
      payload += chunk;
      text += size + chunk + "\r\n";
    }
    text += "0\r\n\r\n";
    const auto result = decode(text, up_to(text.size()));
    REQUIRE(result.done);
    REQUIRE(result.payload == payload);
  }
}
