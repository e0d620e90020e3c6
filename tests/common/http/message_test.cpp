#include "common/http/message.hpp"

#include <catch2/catch.hpp>

using namespace karreg::http;

TEST_CASE("header names compare without case and set replaces") {
  Headers headers{{"Content-Type", "a"}, {"content-type", "b"}};
  CHECK(headers.get("CONTENT-TYPE") == "a");
  headers.set("Content-type", "c");
  CHECK(headers.entries().size() == 1);
  CHECK_FALSE(headers.get("Accept"));
}

TEST_CASE("percent-encoding follows RFC 3986 both ways") {
  CHECK(percent_encode("a b/ü~") == "a%20b%2F%C3%BC~");
  CHECK(percent_decode("a%20b%2F", false) == "a b/");
  CHECK(percent_decode("a+b", true) == "a b");
  CHECK(percent_decode("a+b", false) == "a+b");
  CHECK_FALSE(percent_decode("%2", false));
  CHECK_FALSE(percent_decode("%zz", false));
  CHECK_FALSE(percent_decode("a%00b", false));
}

TEST_CASE("what decodes to no UTF-8 is no text") {
  for (const auto* good : {"", "abc", "%C3%BC", "%E2%82%AC", "%F0%9F%98%80", "%EF%BF%BD",
                           "%ED%9F%BF", "%F4%8F%BF%BF"}) {
    INFO(good);
    CHECK(percent_decode(good, false));
  }
  // Alone, cut short, overlong, a surrogate, beyond Unicode.
  for (const auto* bad : {"%FF", "%80", "a%C3", "%E2%82", "%F0%9F%98", "%C0%AF", "%E0%80%AF",
                          "%F0%80%80%AF", "%ED%A0%80", "%F4%90%80%80", "%C3x"}) {
    INFO(bad);
    CHECK_FALSE(percent_decode(bad, false));
  }
  CHECK(parse_query("a=%ff&b=1") == Query{{"a", "%ff"}, {"b", "1"}});
}

TEST_CASE("a query keeps order and duplicates") {
  CHECK(parse_query("a=1&b=&a=2&c&&d=%20") ==
        Query{{"a", "1"}, {"b", ""}, {"a", "2"}, {"c", ""}, {"d", " "}});
}

TEST_CASE("URLs are taken apart or refused with the reason") {
  auto url = parse_url("http://127.0.0.1:8080/a?b=c");
  REQUIRE(url);
  CHECK(url->host == "127.0.0.1");
  CHECK(url->port == "8080");
  CHECK(url->target == "/a?b=c");
  CHECK(parse_url("https://example.com")->port == "443");
  CHECK(parse_url("https://[::1]:9/x")->host == "::1");
  CHECK(parse_url("http://h?q=1")->target == "/?q=1");
  for (const auto* bad : {"example.com", "ftp://x", "http://", "http://u:p@h/", "http://h:x/"})
    CHECK_FALSE(parse_url(bad));
}

TEST_CASE("an error becomes the API's error body with its status") {
  auto response = error_response(karreg::Error(karreg::ErrorKind::not_found, "no \"x\""));
  CHECK(response.status == 404);
  CHECK(response.body == R"({"id":404,"message":"no \"x\"","type":"error"})");
}

TEST_CASE("the text of an internal error stays with the operator") {
  const karreg::Error error(karreg::ErrorKind::internal, "database: SELECT secret");
  auto response = error_response(error);
  CHECK(response.status == 500);
  CHECK(response.body.find("SELECT") == std::string::npos);
  CHECK_THAT(response.body,
             Catch::Contains("an internal error happened; the log of the server says "
                             "more under the number "));
  CHECK(public_message(error) != public_message(error));
}
