#include "reverse-proxy/http1/trailers.hpp"

#include <algorithm>
#include <array>

#include "common/text.hpp"

namespace karreg::proxy::http1 {

namespace {

/// Sorted.
constexpr std::array<std::string_view, 40> never{
    "age",
    "allow",
    "alt-svc",
    "authorization",
    "cache-control",
    "clear-site-data",
    "connection",
    "cookie",
    "cookie2",
    "date",
    "expect",
    "expires",
    "forwarded",
    "front-end-https",
    "host",
    "http2-settings",
    "keep-alive",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
};
static_assert(std::ranges::is_sorted(never));

constexpr std::array<std::string_view, 18> never_beginning_with{
    "accept",       "access-control-", "cf-",         "client-cert", "content-",   "cross-origin-",
    "if-",          "permissions-",    "proxy-",      "referrer-",   "sec-",       "x-content-",
    "x-forwarded-", "x-http-method",   "x-original-", "x-real-",     "x-request-", "x-rewrite-"};

}  // namespace

bool may_trail(std::string_view name) {
  std::string plain(name);
  for (auto& c : plain) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if (c == '_') c = '-';
  }
  // Known only when the content is through (RFC 9530 §2).
  if (plain == "content-digest") return true;
  if (std::ranges::binary_search(never, std::string_view(plain))) return false;
  return std::ranges::none_of(never_beginning_with,
                              [&](std::string_view begin) { return plain.starts_with(begin); });
}

std::optional<std::string_view> Trailers::add_line(std::string_view line, const HeadLimits& of) {
  if (line.starts_with(' ') || line.starts_with('\t')) return "a trailer is folded over two lines";
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return "a trailer has no colon";
  return add({line.substr(0, colon), text::trimmed(line.substr(colon + 1))}, of);
}

std::optional<std::string_view> Trailers::add(const Field& field, const HeadLimits& of) {
  bytes_ += field.name.size() + field.value.size();
  if (++fields_ > of.fields) return "there are too many trailers";
  if (bytes_ > of.bytes) return "the trailers are too long";
  if (!text::is_token(field.name))
    return "a trailer's name is empty or has a character that is not allowed";
  if (!is_field_value(field.value)) return "a trailer's value has a control character";
  if (!may_trail(field.name)) return std::nullopt;
  if (text_.empty())
    text_ = begin;
  else
    text_.resize(text_.size() - 2);
  text_ += field.name;
  text_ += ": ";
  text_ += field.value;
  text_ += "\r\n\r\n";
  return std::nullopt;
}

}  // namespace karreg::proxy::http1
