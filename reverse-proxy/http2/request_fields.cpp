#include "reverse-proxy/http2/request_fields.hpp"

#include "common/text.hpp"

namespace karreg::proxy::http2 {

void RequestFields::clear() {
  text_.clear();
  places_.clear();
  cookies_.clear();
  bytes_ = 0;
  fields_ = 0;
  too_large_ = false;
}

void RequestFields::add(std::string_view name, std::string_view value,
                        const http1::HeadLimits& limits) {
  bytes_ += name.size() + value.size();
  // Crumbs of a cookie are one field in the end, and pseudo fields are none.
  if (!name.starts_with(':') && name != "cookie") ++fields_;
  too_large_ = too_large_ || bytes_ > limits.bytes || fields_ > limits.fields;
  if (too_large_) return;
  places_.push_back({text_.size(), name.size(), value.size()});
  text_ += name;
  text_ += value;
}

std::string_view RequestFields::name_of(const Place& place) const {
  return std::string_view(text_).substr(place.name, place.name_size);
}

std::string_view RequestFields::value_of(const Place& place) const {
  return std::string_view(text_).substr(place.name + place.name_size, place.value_size);
}

std::string_view RequestFields::pseudo(std::string_view name) const {
  for (const auto& place : places_)
    if (name_of(place) == name) return value_of(place);
  return {};
}

std::optional<http1::Refusal> RequestFields::finish(bool has_body, http1::RequestHead& into) {
  using http1::Refusal;
  into.minor_version = 1;
  into.fields.clear();
  into.known = {};
  // First of all: to HEAD a refusal has no body either.
  into.method = pseudo(":method");
  into.target = pseudo(":path");
  if (too_large_) return Refusal{431, "the request's header is too large"};
  const auto protocol = pseudo(":protocol");
  const bool tunnel = into.method == "CONNECT" && !protocol.empty();
  if (!protocol.empty() && !tunnel) return Refusal{400, ":protocol is for CONNECT only"};
  if (tunnel && !text::iequals(protocol, "websocket"))
    return Refusal{501, "CONNECT is offered for the protocol websocket only"};
  // How HTTP/1.1 says the same (RFC 8441 §5).
  if (tunnel) into.method = "GET";
  if (!text::is_token(into.method)) return Refusal{400, "the method is not a token"};
  if (!http1::is_target(into.target))
    return Refusal{400, "the request target is empty or has a space or control character"};
  // Another host than :authority's would be heard in an absolute form (RFC 9113 §8.3.1).
  if (into.target.front() != '/' && into.target != "*")
    return Refusal{400, "the request target must begin with /"};
  auto take = [&](std::string_view name, std::string_view value) {
    const http1::Field field{name, value};
    http1::learn(field, into.known);
    into.fields.push_back(field);
  };
  const auto authority = pseudo(":authority");
  // It stands for Host, which must not say another one (RFC 9113 §8.3.1).
  if (!authority.empty()) take("host", authority);
  for (const auto& place : places_) {
    const auto name = name_of(place);
    const auto value = value_of(place);
    if (name.starts_with(':') || (name == "host" && !authority.empty())) continue;
    if (!text::is_token(name))
      return Refusal{400, "a header field's name is empty or has a character that is not allowed"};
    if (!http1::is_field_value(value))
      return Refusal{400, "a header field's value has a control character"};
    if (name == "connection" || name == "transfer-encoding" || name == "upgrade")
      return Refusal{400, "HTTP/2 has no fields about the connection"};
    // Ours: HTTP/2 has no need of them (RFC 8441 §5).
    if (tunnel && (name == "sec-websocket-key" || name == "sec-websocket-accept")) continue;
    if (name == "cookie") {
      // Sent in crumbs, so that they compress (RFC 9113 §8.2.3).
      if (!cookies_.empty()) cookies_ += "; ";
      cookies_ += value;
      continue;
    }
    take(name, value);
  }
  if (!cookies_.empty()) take("cookie", cookies_);
  if (tunnel) {
    if (into.known.content_lengths > 0) return Refusal{400, "a tunnel has no Content-Length"};
    into.known.connection_upgrade = true;
    into.known.upgrade = "websocket";
    return std::nullopt;
  }
  if (!has_body && into.known.content_lengths > 0 && into.known.content_length != "0")
    return Refusal{400, "Content-Length promises a body that does not come"};
  // Of unknown length: the application gets it in chunks.
  if (has_body && into.known.content_lengths == 0) {
    into.known.transfer_encodings = 1;
    into.known.transfer_encoding = "chunked";
  }
  return std::nullopt;
}

}  // namespace karreg::proxy::http2
