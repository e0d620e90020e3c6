// Reads HTTP/1 messages from standard input as the proxy does, one after the other, and prints each
// as a line of JSON: what was understood, or why it is refused. For tests that compare the parser
// with others. Argument: request or response.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>

#include "common/json.hpp"
#include "reverse-proxy/http1/body.hpp"
#include "reverse-proxy/http1/target.hpp"

using namespace karreg::proxy::http1;

namespace {

/// Each byte as the character of that number, so that every message is a text.
std::string as_text(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xc0 | (u >> 6));
      out += static_cast<char>(0x80 | (u & 0x3f));
    }
  }
  return out;
}

nlohmann::json refusal_of(const Refusal& refusal) {
  return {{"status", refusal.status}, {"why", refusal.why}};
}

const char* name_of(BodyKind kind) {
  switch (kind) {
    case BodyKind::none:
      return "none";
    case BodyKind::length:
      return "length";
    case BodyKind::chunked:
      return "chunked";
    case BodyKind::until_close:
      return "until_close";
  }
  return "unknown";
}

/// Takes the body that @p framing announces from the front of @p rest.
void read_body(const Framing& framing, std::string& rest, nlohmann::json& message) {
  std::string body;
  bool complete = true;
  if (framing.kind == BodyKind::length) {
    body = rest.substr(0, framing.length);
    complete = body.size() == framing.length;
    rest.erase(0, body.size());
  } else if (framing.kind == BodyKind::until_close) {
    body.swap(rest);
  } else if (framing.kind == BodyKind::chunked) {
    ChunkDecoder decoder;
    const auto step = decoder.decode(rest);
    body = rest.substr(0, step.payload);
    rest.erase(0, step.consumed);
    complete = step.done;
    if (step.refusal) message["refused"] = refusal_of(*step.refusal);
  }
  message["body"] = as_text(body);
  message["complete"] = complete && !message.contains("refused");
}

nlohmann::json fields_of(const Head& head) {
  auto fields = nlohmann::json::array();
  for (const auto& field : head.fields)
    fields.push_back({as_text(field.name), as_text(field.value)});
  return fields;
}

/// Reads one message from the front of @p rest; whether another one may follow.
bool read_message(bool requests, std::string& rest, nlohmann::json& message) {
  // As the session does between requests (RFC 9112 §2.2).
  while (requests && rest.starts_with("\r\n")) rest.erase(0, 2);
  if (rest.empty()) return false;
  message = {{"complete", false}};
  const auto end = find_head_end(rest, 0);
  if (end.refusal) message["refused"] = refusal_of(*end.refusal);
  if (!end.end) return false;
  const auto text = rest.substr(0, *end.end);
  rest.erase(0, *end.end);
  RequestHead request;
  ResponseHead response;
  const auto refusal =
      requests ? parse_request(text, {}, request) : parse_response(text, {}, response);
  if (refusal) {
    message["refused"] = refusal_of(*refusal);
    return false;
  }
  const Head& head = requests ? static_cast<const Head&>(request) : response;
  message["minor_version"] = head.minor_version;
  message["fields"] = fields_of(head);
  if (requests) {
    message["method"] = request.method;
    message["target"] = as_text(request.target);
    Target target;
    if (const auto not_served = read_target(request, target)) {
      message["not_served"] = refusal_of(*not_served);
      if (request.method == "CONNECT") message["refused"] = message["not_served"];
    }
  } else {
    message["status"] = response.status;
    message["reason"] = as_text(response.reason);
  }
  const auto framed = requests ? request_framing(request) : response_framing(response, false);
  if (const auto* bad = std::get_if<Refusal>(&framed)) {
    message["refused"] = refusal_of(*bad);
    return false;
  }
  // What follows is no HTTP/1.
  if (message.contains("refused") || response.status == 101) return false;
  const auto& framing = std::get<Framing>(framed);
  message["framing"] = name_of(framing.kind);
  message["persistent"] = head.persistent();
  read_body(framing, rest, message);
  return message["complete"].get<bool>() && head.persistent();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string kind = argc == 2 ? argv[1] : "";
  if (kind != "request" && kind != "response") {
    std::fputs("read_messages: the one argument is request or response\n", stderr);
    return 2;
  }
  std::string rest{std::istreambuf_iterator<char>(std::cin), {}};
  for (bool more = true; more;) {
    nlohmann::json message;
    more = read_message(kind == "request", rest, message);
    if (!message.is_null()) std::cout << message.dump() << '\n';
  }
  return 0;
}
