#include "reverse-proxy/http1/forward.hpp"

#include <catch2/catch.hpp>

#include "reverse-proxy/http1/trace_context.hpp"

using namespace karreg::proxy::http1;

namespace {
ForwardedBy by() {
  return {.client_address = "192.0.2.7", .scheme = "http", .port = 8080, .request_id = "id-1"};
}

std::string forwarded(const std::string& text, ForwardedBy who = by()) {
  RequestHead head;
  REQUIRE_FALSE(parse_request(text, {}, head));
  Target target;
  REQUIRE_FALSE(read_target(head, target));
  const auto framing = std::get<Framing>(request_framing(head));
  std::string out;
  append_request(out, head, target, framing, who, wants_websocket(head, framing));
  return out;
}

std::string answered(const std::string& text, AnswerForm form = {}) {
  ResponseHead head;
  REQUIRE_FALSE(parse_response(text, {}, head));
  const auto framing = std::get<Framing>(response_framing(head, form.head_request));
  form.request_id = "id-1";
  std::string out;
  append_response(out, head, framing_to_client(framing, form.client_minor_version), form);
  return out;
}

const std::string ours =
    "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.org\r\n"
    "X-Forwarded-Port: 8080\r\nForwarded: for=192.0.2.7;proto=http;host=\"a.org\"\r\n"
    "X-Request-Id: id-1\r\n\r\n";
}  // namespace

TEST_CASE("a request is passed on with our fields and without those of its connection") {
  struct Case {
    const char* name;
    std::string in;
    std::string out;
  };
  const std::string line = "GET /p?q HTTP/1.1\r\n";
  const std::string host = "Host: a.org\r\n";
  const Case cases[] = {
      {"plain", line + host + "Accept: */*\r\n\r\n", line + host + "Accept: */*\r\n" + ours},
      {"hop by hop",
       line + host +
           "Connection: keep-alive, X-Private\r\nKeep-Alive: 5\r\nX-Private: 1\r\nTE: trailers\r\n"
           "Proxy-Connection: x\r\nProxy-Authorization: x\r\nTrailer: x\r\nUpgrade: h2c\r\n"
           "HTTP2-Settings: x\r\nB: c\r\n\r\n",
       line + host + "B: c\r\nTE: trailers\r\nConnection: TE\r\n" + ours},
      {"codings that are not ours", line + host + "TE: gzip, trailers;q=1, x-trailers\r\n\r\n",
       line + host + ours},
      {"an old client has no trailers", "GET /p?q HTTP/1.0\r\nHost: a.org\r\nTE: trailers\r\n\r\n",
       line + host + ours},
      {"claims about the origin",
       line + host +
           "X-Forwarded-For: 1.1.1.1\r\nx_forwarded_for: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"
           "Forwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\nX-Request-Id: no\r\n\r\n",
       line + host + ours},
      {"absolute form", "GET http://a.org/p?q HTTP/1.1\r\nHost: evil\r\n\r\n", line + host + ours},
      {"an old client", "GET /p?q HTTP/1.0\r\nHost: a.org\r\nConnection: keep-alive\r\n\r\n",
       line + host + ours},
      {"length",
       "POST / HTTP/1.1\r\nHost: a.org\r\ncontent-length: 5\r\nExpect: 100-continue\r\n\r\n",
       "POST / HTTP/1.1\r\nHost: a.org\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" + ours},
      {"chunked", "POST / HTTP/1.1\r\nHost: a.org\r\nTransfer-Encoding: CHUNKED\r\n\r\n",
       "POST / HTTP/1.1\r\nHost: a.org\r\nTransfer-Encoding: chunked\r\n" + ours},
      {"connection names the framing",
       "POST / HTTP/1.1\r\nHost: a.org\r\nContent-Length: 5\r\nConnection: Content-Length, "
       "Host\r\n\r\n",
       "POST / HTTP/1.1\r\nHost: a.org\r\nContent-Length: 5\r\n" + ours},
      {"websocket",
       line + host + "Connection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\n",
       line + host + "Sec-WebSocket-Key: k\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n" +
           ours},
      {"upgrade to h2c is not passed on",
       line + host +
           "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
       line + host + ours},
  };
  for (const auto& c : cases) {
    INFO(c.name);
    CHECK(forwarded(c.in) == c.out);
  }
}

TEST_CASE("an address of IPv6 is told in brackets where the form asks for them") {
  auto who = by();
  who.client_address = "2001:db8::7";
  who.scheme = "https";
  const auto out = forwarded("GET / HTTP/1.1\r\nHost: a.org:8443\r\n\r\n", who);
  CHECK_THAT(out, Catch::Contains("X-Forwarded-For: 2001:db8::7\r\n"));
  CHECK_THAT(
      out, Catch::Contains("Forwarded: for=\"[2001:db8::7]\";proto=https;host=\"a.org:8443\"\r\n"));
}

TEST_CASE("a trusted proxy before us is believed and added to") {
  auto who = by();
  who.trust_client = true;
  const auto out = forwarded(
      "GET / HTTP/1.1\r\nHost: a.org\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Forwarded-Proto: "
      "https\r\nForwarded: for=1.1.1.1\r\n\r\n",
      who);
  CHECK_THAT(
      out, Catch::Contains("Forwarded: for=1.1.1.1, for=192.0.2.7;proto=http;host=\"a.org\"\r\n"));
  CHECK_THAT(out, Catch::Contains("X-Forwarded-For: 1.1.1.1, 2.2.2.2, 192.0.2.7\r\n"));
  CHECK_THAT(out, Catch::Contains("X-Forwarded-Proto: https\r\n"));
  CHECK_THAT(out, Catch::Contains("X-Forwarded-Host: a.org\r\n"));
}

TEST_CASE("an answer is framed for its client") {
  struct Case {
    const char* name;
    std::string in;
    AnswerForm form;
    std::string out;
  };
  const std::string id = "X-Request-Id: id-1\r\n\r\n";
  const Case cases[] = {
      {"length",
       "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
       {},
       "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n" + id},
      {"no length",
       "HTTP/1.0 200 OK\r\n\r\n",
       {},
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + id},
      {"no length for an old client",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
       {.client_minor_version = 0, .keep_alive = false},
       "HTTP/1.1 200 OK\r\nConnection: close\r\n" + id},
      {"old client keeps",
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
       {.client_minor_version = 0},
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n" + id},
      {"HEAD",
       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
       {.head_request = true},
       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + id},
      {"not modified",
       "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n",
       {},
       "HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 5\r\n" + id},
      {"no content",
       "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
       {},
       "HTTP/1.1 204 No Content\r\n" + id},
      {"the application's own id",
       "HTTP/1.1 204 No Content\r\nx-request-id: app\r\n\r\n",
       {},
       "HTTP/1.1 204 No Content\r\nx-request-id: app\r\n\r\n"},
      {"continue", "HTTP/1.1 100 Continue\r\n\r\n", {}, "HTTP/1.1 100 Continue\r\n\r\n"},
      {"early hints",
       "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
       {},
       "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"},
      {"switching",
       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
       {.upgrade = true},
       "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + id},
      {"sticky",
       "HTTP/1.1 204 No Content\r\n\r\n",
       {.sticky_cookie = "k=v"},
       "HTTP/1.1 204 No Content\r\nX-Request-Id: id-1\r\nSet-Cookie: k=v\r\n\r\n"},
  };
  for (const auto& c : cases) {
    INFO(c.name);
    CHECK(answered(c.in, c.form) == c.out);
  }
}

TEST_CASE("a client's request id is taken if it is short and plain") {
  auto id = [](const std::string& value) {
    RequestHead head;
    const std::string text = "GET / HTTP/1.1\r\nX-Request-Id: " + value + "\r\n\r\n";
    REQUIRE_FALSE(parse_request(text, {}, head));
    return acceptable_request_id(head).has_value();
  };
  CHECK(id("6f1d-AB_c.9"));
  CHECK(id(std::string(128, 'a')));
  CHECK_FALSE(id(std::string(129, 'a')));
  CHECK_FALSE(id(""));
  CHECK_FALSE(id("a b"));
  CHECK_FALSE(id("a\"b"));
}

TEST_CASE("a request goes on in the visitor's trace when that is well-formed, else one begins") {
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";
  const std::string span = "b7ad6b7169203331";
  const std::string good = "00-" + trace + "-" + span + "-01";
  struct Case {
    const char* name;
    std::string fields;
    bool goes_on;
  };
  const Case cases[] = {
      {"well-formed", "traceparent: " + good + "\r\n", true},
      {"in any case of its name", "TraceParent: " + good + "\r\n", true},
      {"of a later version, with more", "traceparent: 01-" + trace + "-" + span + "-01-x\r\n",
       true},
      {"none", "", false},
      {"twice", "traceparent: " + good + "\r\ntraceparent: " + good + "\r\n", false},
      {"of version ff", "traceparent: ff-" + trace + "-" + span + "-01\r\n", false},
      {"of version 00, with more", "traceparent: " + good + "-x\r\n", false},
      {"of a later version, without a dash", "traceparent: 01-" + trace + "-" + span + "-01x\r\n",
       false},
      {"of capital letters", "traceparent: 00-0AF7651916CD43DD8448EB211C80319C-" + span + "-01\r\n",
       false},
      {"of no trace", "traceparent: 00-" + std::string(32, '0') + "-" + span + "-01\r\n", false},
      {"of no span", "traceparent: 00-" + trace + "-" + std::string(16, '0') + "-01\r\n", false},
      {"too short", "traceparent: 00-" + trace + "-" + span + "\r\n", false},
      {"without dashes", "traceparent: 00_" + trace + "_" + span + "_01\r\n", false},
  };
  const std::string own = "00112233445566778899aabbccddeeff";
  for (const auto& c : cases) {
    INFO(c.name);
    const auto text = "GET / HTTP/1.1\r\nHost: a.org\r\n" + c.fields + "tracestate: v=1\r\n\r\n";
    RequestHead head;
    REQUIRE_FALSE(parse_request(text, {}, head));
    const auto id = trace_id_of(head);
    CHECK(id.has_value() == c.goes_on);
    if (id) CHECK(*id == trace);
    auto who = by();
    if (!id) who.new_trace = own;
    const auto out = forwarded(text, who);
    if (c.goes_on) {
      CHECK_THAT(out, Catch::Contains(c.fields) && Catch::Contains("tracestate: v=1\r\n"));
    } else {
      CHECK_THAT(out, !Catch::Contains("tracestate"));
      CHECK_THAT(out,
                 Catch::EndsWith("\r\ntraceparent: 00-" + own + "-8899aabbccddeeff-00\r\n\r\n"));
      CHECK(out.find("raceparent") == out.rfind("raceparent"));
    }
  }
}
