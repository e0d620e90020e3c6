#include <catch2/catch.hpp>

#include "reverse-proxy/http1/forward.hpp"
#include "reverse-proxy/rules/address_set.hpp"
#include "reverse-proxy/rules/header_edits.hpp"

using namespace karreg::proxy;
using karreg::parse_ip;

namespace {
std::string fields_of(const http1::Head& head) {
  std::string all;
  for (const auto& field : head.fields)
    all += std::string(field.name) + "=" + std::string(field.value) + ";";
  return all;
}
http1::RequestHead a_request(const std::string& text) {
  http1::RequestHead head;
  REQUIRE_FALSE(http1::parse_request(text, {}, head));
  return head;
}
}  // namespace

TEST_CASE("the longest range that holds an address decides, in whichever list it stands") {
  const rules::AddressSet set({"10.0.0.0/8", "10.1.2.3", "2001:db8::/32"},
                              {"10.1.0.0/16", "0.0.0.0/0"});
  CHECK(set.find(*parse_ip("10.2.0.1")) == true);
  CHECK(set.find(*parse_ip("10.1.0.1")) == false);
  CHECK(set.find(*parse_ip("10.1.2.3")) == true);
  CHECK(set.find(*parse_ip("192.0.2.1")) == false);
  CHECK(set.find(*parse_ip("2001:db8:1::")) == true);
  CHECK(set.find(*parse_ip("2001:db9::")) == std::nullopt);
}

TEST_CASE("the visitor's address is the connection's, or what a trusted proxy says last") {
  struct Case {
    const char* forwarded;
    const char* plain;
    const char* trusted;
  };
  const auto c = GENERATE(values<Case>({
      {"", "192.0.2.1", "192.0.2.1"},
      {"X-Forwarded-For: 198.51.100.7\r\n", "192.0.2.1", "198.51.100.7"},
      {"X-Forwarded-For: 1.1.1.1, 198.51.100.7 \r\n", "192.0.2.1", "198.51.100.7"},
      {"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 198.51.100.8:1234\r\n", "192.0.2.1",
       "198.51.100.8"},
      {"X-Forwarded-For: [2001:db8::1]:443\r\n", "192.0.2.1", "2001:db8::1"},
      {"X-Forwarded-For: 2001:db8::1\r\n", "192.0.2.1", "2001:db8::1"},
      {"X-Forwarded-For: unknown\r\n", "192.0.2.1", ""},
      {"X-Forwarded-For: 1.1.1.1,\r\n", "192.0.2.1", ""},
  }));
  const std::string text = std::string("GET / HTTP/1.1\r\nHost: a\r\n") + c.forwarded + "\r\n";
  const auto head = a_request(text);
  CHECK(rules::visitor_address(head, "192.0.2.1", false) == parse_ip(c.plain));
  CHECK(rules::visitor_address(head, "192.0.2.1", true) == parse_ip(c.trusted));
}

TEST_CASE("header rules remove, then set, then add") {
  const rules::HeaderEdits edits(
      {.remove = {"X-Debug"}, .set = {{"X-Edge", "1"}}, .add = {{"X-More", "b"}}});
  const std::string text =
      "GET / HTTP/1.1\r\nHost: a\r\nx-debug: 1\r\nx-edge: 0\r\nX-EDGE: 00\r\nX-More: a\r\n\r\n";
  auto head = a_request(text);
  edits.apply(head);
  CHECK(fields_of(head) == "Host=a;X-More=a;X-Edge=1;X-More=b;");
}

TEST_CASE("a visitor cannot have a field dropped that a rule has set, by naming it in Connection") {
  const rules::HeaderEdits edits({.remove = {}, .set = {{"X-Secret", "1"}}, .add = {}});
  const std::string text =
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-secret, x-mine\r\nX-Mine: 2\r\n\r\n";
  auto head = a_request(text);
  edits.apply(head);
  http1::Target target;
  REQUIRE_FALSE(http1::read_target(head, target));
  std::string out;
  http1::append_request(out, head, target, {}, {}, false);
  CHECK_THAT(out, Catch::Contains("\r\nX-Secret: 1\r\n"));
  CHECK_THAT(out, !Catch::Contains("X-Mine") && !Catch::Contains("Connection"));
}

TEST_CASE(
    "security fields are a preset with what replaces it, and never what the application says") {
  const rules::SecurityFields fields(
      {.preset = "strict",
       .replace = {{"X-Frame-Options", "SAMEORIGIN"}, {"Content-Security-Policy", ""}}});
  http1::ResponseHead head;
  head.fields = {{"referrer-policy", "origin"}};
  fields.append(head.fields, false);
  CHECK(
      fields_of(head) ==
      "referrer-policy=origin;Cross-Origin-Opener-Policy=same-origin;Permissions-Policy=camera=(),"
      " geolocation=(), microphone=(), payment=(), usb=();X-Content-Type-Options=nosniff;"
      "X-Frame-Options=SAMEORIGIN;");
  head.fields.clear();
  fields.append(head.fields, true);
  CHECK(head.find("strict-transport-security") == "max-age=31536000; includeSubDomains");
  CHECK(rules::SecurityFields(karreg::wire::SecurityHeaders()).empty());
}
