#include "reverse-proxy/rules/compression.hpp"

#include <malloc.h>

#include <catch2/catch.hpp>
#include <random>

#include "reverse-proxy/decoded.hpp"
#include "reverse-proxy/rules/encoder.hpp"

using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using rules::Coding;
using rules::Encoder;

namespace {

const rules::CompressionRule a_rule(karreg::wire::Compression{{"gzip"}, 1000});

http1::RequestHead a_request(const std::string& method = "GET") {
  http1::RequestHead head;
  // A literal's: views must stay.
  head.method = method == "HEAD" ? "HEAD" : "GET";
  head.fields = {{"Accept-Encoding", "gzip"}};
  return head;
}

http1::ResponseHead an_answer(std::vector<http1::Field> fields, int status = 200) {
  http1::ResponseHead head;
  head.status = status;
  head.fields = std::move(fields);
  return head;
}

constexpr http1::Framing chunked{http1::BodyKind::chunked, 0};

std::string coding_of_answer(const http1::ResponseHead& answer,
                             const http1::Framing& framing = chunked,
                             const std::string& method = "GET") {
  return std::string(name_of(a_rule.coding_for(a_request(method), answer, framing)));
}

std::string fields_of(const http1::Head& head) {
  std::string all;
  for (const auto& field : head.fields)
    all += std::string(field.name) + "=" + std::string(field.value) + ";";
  return all;
}

/// Text that gets shorter, but not to nothing.
std::string some_text(std::size_t size) {
  std::mt19937 random(7);
  std::string text;
  while (text.size() < size)
    text += "word" + std::to_string(random() % 5000) + (random() % 8 == 0 ? ".\n" : " ");
  text.resize(size);
  return text;
}

}  // namespace

TEST_CASE("only answers that get shorter, and that may be changed, are compressed") {
  const http1::Field html{"Content-Type", "text/html; charset=utf-8"};
  CHECK(coding_of_answer(an_answer({html})) == "gzip");
  CHECK(coding_of_answer(an_answer({html}, 404)) == "gzip");
  CHECK(coding_of_answer(an_answer({html}), {http1::BodyKind::until_close, 0}) == "gzip");
  CHECK(coding_of_answer(an_answer({html}), {http1::BodyKind::length, 1000}) == "gzip");
  CHECK(coding_of_answer(an_answer({html}), {http1::BodyKind::length, 999}).empty());
  CHECK(coding_of_answer(an_answer({html}), chunked, "HEAD").empty());
  CHECK(coding_of_answer(an_answer({html}), {}).empty());
  for (const int status : {101, 103, 204, 205, 206, 304})
    CHECK(coding_of_answer(an_answer({html}, status)).empty());
  CHECK(coding_of_answer(an_answer({html, {"Content-Encoding", "br"}})).empty());
  CHECK(coding_of_answer(an_answer({html, {"content-encoding", "identity"}})) == "gzip");
  CHECK(coding_of_answer(an_answer({html, {"Content-Range", "bytes 0-1/2"}})).empty());
  CHECK(coding_of_answer(an_answer({html, {"Cache-Control", "private, No-Transform"}})).empty());
  CHECK(coding_of_answer(an_answer({})).empty());
  CHECK(rules::CompressionRule(std::nullopt).coding_for(a_request(), an_answer({html}), chunked) ==
        Coding::identity);
}

TEST_CASE("texts, JSON, XML and scripts are compressible; pictures and archives are not") {
  for (const char* type : {"text/plain", "text/css", "text/event-stream", "Application/JSON",
                           "application/ld+json", "application/javascript; charset=utf-8",
                           "image/svg+xml", "application/wasm", "application/atom+xml ;x=y"})
    CHECK(rules::is_compressible(type));
  for (const char* type : {"", "image/png", "application/zip", "video/mp4", "font/woff2",
                           "application/octet-stream", "application/grpc", "application/pdf"})
    CHECK_FALSE(rules::is_compressible(type));
}

TEST_CASE("a compressed answer says so, and what held for its old bytes is gone") {
  auto answer = an_answer({{"ETag", "\"abc\""},
                           {"Accept-Ranges", "bytes"},
                           {"Content-MD5", "x"},
                           {"Repr-Digest", "x"},
                           {"Vary", "Origin"},
                           {"content-encoding", "identity"}});
  std::string etag;
  rules::add_vary(answer);
  rules::mark_coded(answer, Coding::br, etag);
  CHECK(fields_of(answer) ==
        "ETag=W/\"abc\";Vary=Origin;Vary=Accept-Encoding;Content-Encoding=br;");
  auto weak = an_answer({{"etag", "W/\"abc\""}, {"Vary", "origin, accept-encoding"}});
  rules::add_vary(weak);
  rules::mark_coded(weak, Coding::gzip, etag);
  CHECK(fields_of(weak) == "etag=W/\"abc\";Vary=origin, accept-encoding;Content-Encoding=gzip;");
  auto any = an_answer({{"Vary", "*"}});
  rules::add_vary(any);
  CHECK(fields_of(any) == "Vary=*;");
}

TEST_CASE("a body is the same after it was compressed, in whichever pieces it came") {
  const auto coding = GENERATE(Coding::gzip, Coding::br, Coding::zstd);
  const auto size = GENERATE(0UL, 1UL, 1000UL, 300'000UL);
  const bool known = GENERATE(false, true);
  CAPTURE(rules::name_of(coding), size, known);
  const auto text = some_text(size);
  const auto encoder =
      Encoder::make(coding, known ? std::optional<std::uint64_t>(size) : std::nullopt);
  REQUIRE(encoder);
  std::string body;
  std::mt19937 random(3);
  for (std::size_t at = 0; at < size;) {
    const auto n = std::min<std::size_t>(random() % 40'000, size - at);
    const auto made = encoder->encode(
        {text.data() + at, n}, random() % 4 == 0 ? Encoder::Then::flush : Encoder::Then::more);
    REQUIRE(made);
    body += *made;
    at += n;
  }
  const auto last = encoder->encode({}, Encoder::Then::end);
  REQUIRE(last);
  body += *last;
  const auto back = decoded(std::string(name_of(coding)), body);
  CHECK(back.complete);
  CHECK(back.text == text);
  if (size > 1000) CHECK(body.size() < size / 2);
}

TEST_CASE("what is flushed can be read before more comes") {
  const auto coding = GENERATE(Coding::gzip, Coding::br, Coding::zstd);
  CAPTURE(rules::name_of(coding));
  const auto encoder = Encoder::make(coding, std::nullopt);
  std::string body;
  std::string sent;
  for (int i = 0; i < 3; ++i) {
    const std::string event = "data: " + std::to_string(i) + "\n\n";
    sent += event;
    body += *encoder->encode(event, Encoder::Then::flush);
    CHECK(decoded(std::string(name_of(coding)), body).text == sent);
  }
}

TEST_CASE("an encoder holds no more than it says, however long the body is") {
  const auto coding = GENERATE(Coding::gzip, Coding::br, Coding::zstd);
  const auto text = some_text(32UL * 1024);
  const auto held = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
  const auto before = held();
  const auto encoder = Encoder::make(coding, std::nullopt);
  std::size_t most = 0;
  for (int i = 0; i < 100; ++i) {
    static_cast<void>(encoder->encode(text, Encoder::Then::more));
    most = std::max(most, held() - before);
  }
  INFO(rules::name_of(coding) << ": " << most / 1024 << " KiB");
  CHECK(most <= 1536UL * 1024);
}
