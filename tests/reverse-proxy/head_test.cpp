#include "reverse-proxy/http1/head.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace karreg::proxy::http1;

namespace {
/// "" when accepted, otherwise "status why".
std::string verdict(const std::string& text) {
  const auto end = find_head_end(text, 0);
  if (end.refusal) return std::to_string(end.refusal->status) + " " + std::string(end.refusal->why);
  if (!end.end) return "incomplete";
  RequestHead head;
  const auto refusal = parse_request(std::string_view(text).substr(0, *end.end), {}, head);
  if (refusal) return std::to_string(refusal->status) + " " + std::string(refusal->why);
  return "";
}

std::string response_verdict(const std::string& text) {
  ResponseHead head;
  const auto refusal = parse_response(text, {}, head);
  if (refusal) return std::to_string(refusal->status) + " " + std::string(refusal->why);
  return "";
}
}  // namespace

TEST_CASE("a request head is taken apart without copies") {
  const std::string text =
      "POST /a?b=c HTTP/1.1\r\nHost: example.org\r\nContent-Length:  5 \r\nConnection: Keep-Alive, "
      "Upgrade\r\nUpgrade: websocket\r\nEmpty:\r\n\r\nbody";
  const auto end = find_head_end(text, 0);
  REQUIRE(end.end);
  CHECK(text.substr(*end.end) == "body");
  RequestHead head;
  REQUIRE_FALSE(parse_request(std::string_view(text).substr(0, *end.end), {}, head));
  CHECK(head.method == "POST");
  CHECK(head.target == "/a?b=c");
  CHECK(head.minor_version == 1);
  CHECK(head.fields.size() == 5);
  CHECK(head.known.host == "example.org");
  CHECK(head.known.content_length == "5");
  CHECK(head.known.keep_alive);
  CHECK(head.known.connection_upgrade);
  CHECK(head.find("UPGRADE") == "websocket");
  CHECK(head.find("empty") == "");
  CHECK_FALSE(head.find("absent"));
  CHECK(head.persistent());
}

TEST_CASE("the end of a head is found however its bytes come") {
  const std::string text = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    const auto part = std::string_view(text).substr(0, cut);
    CHECK_FALSE(find_head_end(part, 0).end);
    const auto end = find_head_end(text, cut);
    REQUIRE(end.end);
    CHECK(*end.end == text.size());
  }
}

TEST_CASE("a request that could be read in two ways is refused") {
  struct Case {
    const char* name;
    std::string text;
    std::string verdict;
  };
  const Case cases[] = {
      {"plain", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""},
      {"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", ""},
      {"bare line feed", "GET / HTTP/1.1\nHost: x\n\n",
       "400 a header line ends in a bare line feed"},
      {"bare line feed between fields", "GET / HTTP/1.1\r\nA: b\nHost: x\r\n\r\n",
       "400 a header line ends in a bare line feed"},
      {"space before the colon", "GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n",
       "400 a header field's name is empty or has a character that is not allowed"},
      {"folded line", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
       "400 a header field is folded over two lines"},
      {"no colon", "GET / HTTP/1.1\r\nnonsense\r\n\r\n", "400 a header line has no colon"},
      {"empty name", "GET / HTTP/1.1\r\n: x\r\n\r\n",
       "400 a header field's name is empty or has a character that is not allowed"},
      {"carriage return in a value", "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
       "400 a header field's value has a control character"},
      {"NUL in a value", std::string("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 26),
       "400 a header field's value has a control character"},
      {"two words only", "GET /\r\n\r\n", "400 the request line is not \"method target version\""},
      {"two spaces", "GET  / HTTP/1.1\r\n\r\n",
       "400 the request target is empty or has a space or control character"},
      {"space in the target", "GET /a b HTTP/1.1\r\n\r\n",
       "400 the request target is empty or has a space or control character"},
      {"method with a colon", "GE:T / HTTP/1.1\r\n\r\n", "400 the method is not a token"},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\n", "505 only HTTP/1.1 and HTTP/1.0 are spoken"},
      {"no version", "GET / HTPP/1.1\r\n\r\n",
       "400 the request line does not end in an HTTP version"},
      {"lower-case version", "GET / http/1.1\r\n\r\n",
       "400 the request line does not end in an HTTP version"},
      {"too large", "GET / HTTP/1.1\r\nA: " + std::string(17'000, 'a') + "\r\n\r\n",
       "431 the request's header is too large"},
  };
  for (const auto& c : cases) {
    INFO(c.name);
    CHECK(verdict(c.text) == c.verdict);
  }
}

TEST_CASE("the number of fields is bounded on both sides of the limit") {
  std::string text = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 100; ++i) text += "A: b\r\n";
  CHECK(verdict(text + "\r\n").empty());
  CHECK(verdict(text + "A: b\r\n\r\n") == "431 too many header fields");
}

TEST_CASE("the sender's wish for the connection follows its version") {
  struct Case {
    std::string text;
    bool persistent;
  };
  for (const auto& c : {Case{"GET / HTTP/1.1\r\n\r\n", true},
                        Case{"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false},
                        Case{"GET / HTTP/1.1\r\nConnection: upgrade, Close\r\n\r\n", false},
                        Case{"GET / HTTP/1.0\r\n\r\n", false},
                        Case{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true}}) {
    RequestHead head;
    REQUIRE_FALSE(parse_request(c.text, {}, head));
    CHECK(head.persistent() == c.persistent);
  }
}

TEST_CASE("an application's answer is read as strictly") {
  CHECK(response_verdict("HTTP/1.1 200 OK\r\nA: b\r\n\r\n").empty());
  CHECK(response_verdict("HTTP/1.1 204\r\n\r\n").empty());
  CHECK(response_verdict("HTTP/1.1 204 \r\n\r\n").empty());
  CHECK(response_verdict("nonsense\r\n\r\n") ==
        "502 the answer does not begin with an HTTP/1.1 status line");
  CHECK(response_verdict("HTTP/1.1 2x0 OK\r\n\r\n") == "502 the answer's status is not a number");
  CHECK(response_verdict("HTTP/1.1 2000 OK\r\n\r\n") ==
        "502 the answer's status has not three digits");
  CHECK(response_verdict("HTTP/1.1 200 OK\r\nA : b\r\n\r\n") ==
        "502 a header field's name is empty or has a character that is not allowed");
}
