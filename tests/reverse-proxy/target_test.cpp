#include "reverse-proxy/http1/target.hpp"

#include <catch2/catch.hpp>

using namespace karreg::proxy::http1;

namespace {
/// "host path forward" or "status why".
std::string read(const std::string& text) {
  RequestHead head;
  REQUIRE_FALSE(parse_request(text, {}, head));
  Target target;
  const auto refusal = read_target(head, target);
  if (refusal) return std::to_string(refusal->status) + " " + std::string(refusal->why);
  return target.host + " " + std::string(target.path) + " " + std::string(target.forward);
}
std::string with_host(const std::string& host) {
  return read("GET /p HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
}
}  // namespace

TEST_CASE("host and path are read from every form of target") {
  CHECK(read("GET /a/b?c=d HTTP/1.1\r\nHost: Example.ORG:8080\r\n\r\n") ==
        "example.org /a/b /a/b?c=d");
  CHECK(read("GET http://Other.org/x?y HTTP/1.1\r\nHost: example.org\r\n\r\n") ==
        "other.org /x /x?y");
  CHECK(read("GET HTTP://other.org HTTP/1.1\r\nHost: example.org\r\n\r\n") == "other.org / /");
  CHECK(read("OPTIONS * HTTP/1.1\r\nHost: example.org\r\n\r\n") == "example.org * *");
  CHECK(with_host("example.org.") == "example.org /p /p");
  CHECK(with_host("[::1]:80") == "[::1] /p /p");
  CHECK(with_host("127.0.0.1:80") == "127.0.0.1 /p /p");
  CHECK(with_host("a_b.localhost") == "a_b.localhost /p /p");
}

TEST_CASE("a request without exactly one plain host is refused") {
  CHECK(read("GET / HTTP/1.1\r\n\r\n") == "400 the Host header is missing");
  CHECK(read("GET / HTTP/1.0\r\n\r\n") == "400 the Host header does not name a host");
  CHECK(read("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") ==
        "400 the Host header is there more than once");
  for (const auto* bad : {"", ".", "a..", "a b", "a/b", "a@b", "a:b", "a:80:80", "a:123456", "[::1",
                          "[::1]x", "[<script>]", "a\xC3\xA9", "a?b", "a#b"}) {
    INFO(bad);
    CHECK(with_host(bad) == "400 the Host header does not name a host");
  }
  for (const auto* bad : {"http:///p", "http://", "https://:80/p", "http://u@a/p"}) {
    INFO(bad);
    CHECK(read("GET " + std::string(bad) + " HTTP/1.1\r\nHost: a\r\n\r\n") ==
          "400 the Host header does not name a host");
  }
  CHECK(read("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n") == "405 CONNECT is not offered here");
  CHECK(read("GET * HTTP/1.1\r\nHost: a\r\n\r\n") == "400 only OPTIONS has the target *");
  CHECK(read("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n") ==
        "400 the request target must begin with / or http://");
  CHECK(read("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n") == "400 the request target has a fragment");
  CHECK(read("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n") ==
        "400 the request target has a query but no path");
}
