// Heads to and from applications that speak HTTP/2, and the proxy's own words to gRPC.
#include <catch2/catch.hpp>

#include "reverse-proxy/http2/answer_fields.hpp"
#include "reverse-proxy/http2/grpc.hpp"
#include "reverse-proxy/http2/request_lines.hpp"

using namespace karreg::proxy;
using namespace karreg::proxy::http2;

namespace {

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

/// Why the head is refused; "fine" when it is not.
std::string_view refusal(const Fields& fields, http1::ResponseHead& into) {
  AnswerFields head;
  for (const auto& [name, value] : fields) head.add(name, value, {});
  const auto refused = head.finish(into);
  if (refused) CHECK(refused->status == 502);
  return refused ? refused->why : "fine";
}

std::string_view value_of(const RequestLines& lines, std::string_view name) {
  for (const auto& field : lines.fields())
    if (field.name == name) return field.value;
  return "absent";
}

}  // namespace

TEST_CASE("a head of HTTP/2 becomes the head of an answer") {
  AnswerFields fields;
  http1::ResponseHead head;
  for (const auto& [status, number] : {std::pair("200", 200), {"599", 599}, {"103", 103}}) {
    fields = {};
    fields.add(":status", status, {});
    fields.add("content-length", "5", {});
    fields.add("x-one", "a b", {});
    CHECK(fields.informational() == (number < 200));
    REQUIRE_FALSE(fields.finish(head));
    CHECK(head.status == number);
    CHECK(head.find("x-one") == "a b");
    CHECK(head.known.content_length == "5");
    CHECK(head.persistent());
  }
}

TEST_CASE("heads that HTTP/1.1 could not say unmistakably are refused") {
  http1::ResponseHead head;
  for (const std::string_view status : {"", "20", "2000", "099", "600", "2 0", "-20", "101"})
    CHECK(refusal({{":status", status}}, head) != "fine");
  CHECK(refusal({}, head) != "fine");
  for (const auto& [name, value] : Fields{{"x y", "a"},
                                          {"", "a"},
                                          {"x", "a\r\nb"},
                                          {"x", std::string_view("\0", 1)},
                                          {":path", "/"},
                                          {"connection", "close"},
                                          {"transfer-encoding", "chunked"},
                                          {"upgrade", "websocket"}})
    CHECK(refusal({{":status", "200"}, {name, value}}, head) != "fine");
  CHECK(refusal({{":status", "200"}, {"content-length", "1"}, {"content-length", "1"}}, head) ==
        "the answer has more than one Content-Length");
}

TEST_CASE("a head of an answer by HTTP/2 is bounded, whatever it says") {
  AnswerFields fields;
  http1::ResponseHead head;
  fields.add(":status", "200", {});
  for (int i = 0; i < 100'000; ++i) fields.add("name", "value", {});
  CHECK(fields.finish(head)->why == "the answer's header is too large");
  fields = {};
  fields.add(":status", "200", {});
  fields.add("x", std::string(16'380, 'x'), {});
  CHECK(fields.finish(head)->why == "the answer's header is too large");
  fields = {};
  fields.add(":status", "200", {});
  CHECK_FALSE(fields.finish(head));
}

TEST_CASE("an application gets the same fields by HTTP/2 as by HTTP/1.1") {
  http1::RequestHead head;
  REQUIRE_FALSE(
      http1::parse_request("POST /a?b HTTP/1.1\r\nHost: A.test:80\r\nX-Mixed: Case\r\n"
                           "Connection: close, X-Hop\r\nX-Hop: 1\r\nTE: gzip, trailers\r\n"
                           "Transfer-Encoding: chunked\r\nX-Real-IP: 1.2.3.4\r\n"
                           "Expect: 100-continue\r\nx-empty:\r\n\r\n",
                           {}, head));
  http1::Target target;
  REQUIRE_FALSE(http1::read_target(head, target));
  http1::ForwardedBy by;
  by.client_address = "192.0.2.1";
  by.scheme = "https";
  by.request_id = "abc";
  RequestLines lines;
  for (int i = 0; i < 2; ++i) lines.set(head, target, {http1::BodyKind::chunked, 0}, by, "http");
  const auto& fields = lines.fields();
  REQUIRE(fields.size() > 4);
  CHECK(fields[0].name == ":method");
  CHECK(fields[3].name == ":path");
  for (std::size_t i = 4; i < fields.size(); ++i) CHECK_FALSE(fields[i].name.starts_with(':'));
  CHECK(value_of(lines, ":method") == "POST");
  CHECK(value_of(lines, ":scheme") == "http");
  CHECK(value_of(lines, ":authority") == "A.test:80");
  CHECK(value_of(lines, ":path") == "/a?b");
  CHECK(value_of(lines, "x-mixed") == "Case");
  CHECK(value_of(lines, "x-empty").empty());
  CHECK(value_of(lines, "te") == "trailers");
  CHECK(value_of(lines, "expect") == "100-continue");
  CHECK(value_of(lines, "x-forwarded-proto") == "https");
  CHECK(value_of(lines, "x-request-id") == "abc");
  for (const auto* gone : {"host", "connection", "x-hop", "transfer-encoding", "x-real-ip"})
    CHECK(value_of(lines, gone) == "absent");
  lines.set(head, target, {http1::BodyKind::length, 12}, by, "https");
  CHECK(value_of(lines, "content-length") == "12");
  CHECK(value_of(lines, ":scheme") == "https");
}

TEST_CASE("gRPC is known by its type, and told what is wrong in its own words") {
  for (const auto* type : {"application/grpc", "application/grpc+proto", "Application/gRPC; a=b"})
    CHECK(is_grpc(type));
  for (const auto* type : {"", "application/grpc-web", "application/grpc-web+proto", "text/html",
                           "application/grp", "application/grpcs"})
    CHECK_FALSE(is_grpc(type));
  for (const int status : {429, 502, 503, 504}) CHECK(grpc_status(status) == "14");
  CHECK(grpc_status(401) == "16");
  CHECK(grpc_status(403) == "7");
  CHECK(grpc_status(404) == "12");
  CHECK(grpc_status(413) == "2");
  CHECK(grpc_message("100% of \xc3\xa9\n~") == "100%25 of %C3%A9%0A~");
}
