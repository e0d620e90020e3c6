#include "reverse-proxy/http1/head.hpp"

#include <algorithm>

#include "common/text.hpp"

namespace karreg::proxy::http1 {

namespace {

bool is_value_char(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u == '\t' || (u >= 0x20 && u != 0x7f);
}

/// Removes the first line from @p rest; lines end in CR LF (find_head_end() made sure).
std::string_view take_line(std::string_view& rest) {
  const auto end = rest.find("\r\n");
  const auto line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
  return line;
}

void learn_connection(std::string_view value, Known& known) {
  for_each_member(value, [&](std::string_view option) {
    if (text::iequals(option, "close"))
      known.close = true;
    else if (text::iequals(option, "keep-alive"))
      known.keep_alive = true;
    else if (text::iequals(option, "upgrade"))
      known.connection_upgrade = true;
    else
      known.connection_names = true;
  });
}

std::optional<Refusal> parse_fields(std::string_view rest, const HeadLimits& limits, Head& into) {
  into.fields.clear();
  into.known = {};
  for (;;) {
    const auto line = take_line(rest);
    if (line.empty()) return std::nullopt;
    if (into.fields.size() == limits.fields) return Refusal{431, "too many header fields"};
    if (line.front() == ' ' || line.front() == '\t')
      return Refusal{400, "a header field is folded over two lines"};
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return Refusal{400, "a header line has no colon"};
    const Field field{line.substr(0, colon), text::trimmed(line.substr(colon + 1))};
    if (!text::is_token(field.name))
      return Refusal{400, "a header field's name is empty or has a character that is not allowed"};
    if (!is_field_value(field.value))
      return Refusal{400, "a header field's value has a control character"};
    learn(field, into.known);
    into.fields.push_back(field);
  }
}

/// "HTTP/1.0" or "HTTP/1.1" as 0 or 1.
std::optional<int> minor_version(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  return std::nullopt;
}

}  // namespace

void learn(const Field& field, Known& known) {
  switch (field.name.size()) {
    case 2:
      if (text::iequals(field.name, "te"))
        for_each_member(field.value, [&](std::string_view coding) {
          known.te_trailers |= text::iequals(coding, "trailers");
        });
      break;
    case 4:
      if (text::iequals(field.name, "host")) {
        known.host = field.value;
        ++known.hosts;
      }
      break;
    case 6:
      if (text::iequals(field.name, "expect"))
        known.expect_continue |= text::iequals(field.value, "100-continue");
      break;
    case 7:
      if (text::iequals(field.name, "upgrade")) known.upgrade = field.value;
      break;
    case 10:
      if (text::iequals(field.name, "connection")) learn_connection(field.value, known);
      break;
    case 14:
      if (text::iequals(field.name, "content-length")) {
        known.content_length = field.value;
        ++known.content_lengths;
      }
      break;
    case 17:
      if (text::iequals(field.name, "transfer-encoding")) {
        known.transfer_encoding = field.value;
        ++known.transfer_encodings;
      }
      break;
    default:
      break;
  }
}

bool is_field_value(std::string_view text) {
  return std::ranges::all_of(text, is_value_char);
}

bool is_target(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u > 0x20 && u != 0x7f;
  });
}

std::optional<std::string_view> Head::find(std::string_view name) const {
  for (const auto& field : fields)
    if (text::iequals(field.name, name)) return field.value;
  return std::nullopt;
}

HeadEnd find_head_end(std::string_view bytes, std::size_t from) {
  // A line feed that an earlier call has seen may be the one before the empty line.
  for (auto at = bytes.find('\n', from); at != std::string_view::npos;
       at = bytes.find('\n', at + 1)) {
    if (at == 0 || bytes[at - 1] != '\r')
      return {std::nullopt, Refusal{400, "a header line ends in a bare line feed"}};
    if (at >= 3 && bytes[at - 2] == '\n') return {at + 1, std::nullopt};
  }
  return {};
}

std::optional<Refusal> parse_request(std::string_view head, const HeadLimits& limits,
                                     RequestHead& into) {
  if (head.size() > limits.bytes) return Refusal{431, "the request's header is too large"};
  auto rest = head;
  const auto line = take_line(rest);
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    return Refusal{400, "the request line is not \"method target version\""};
  into.method = line.substr(0, first);
  into.target = line.substr(first + 1, last - first - 1);
  const auto version = line.substr(last + 1);
  const auto minor = minor_version(version);
  if (!minor) {
    if (version.starts_with("HTTP/")) return Refusal{505, "only HTTP/1.1 and HTTP/1.0 are spoken"};
    return Refusal{400, "the request line does not end in an HTTP version"};
  }
  into.minor_version = *minor;
  if (!text::is_token(into.method)) return Refusal{400, "the method is not a token"};
  if (!is_target(into.target))
    return Refusal{400, "the request target is empty or has a space or control character"};
  return parse_fields(rest, limits, into);
}

std::optional<Refusal> parse_response(std::string_view head, const HeadLimits& limits,
                                      ResponseHead& into) {
  auto bad = [](std::string_view why) { return Refusal{502, why}; };
  if (head.size() > limits.bytes) return bad("the answer's header is too large");
  auto rest = head;
  const auto line = take_line(rest);
  const auto minor = minor_version(line.substr(0, 8));
  if (!minor || line.size() < 12 || line[8] != ' ')
    return bad("the answer does not begin with an HTTP/1.1 status line");
  into.minor_version = *minor;
  into.status = 0;
  for (char c : line.substr(9, 3)) {
    if (c < '0' || c > '9') return bad("the answer's status is not a number");
    into.status = into.status * 10 + (c - '0');
  }
  if (into.status < 100 || (line.size() > 12 && line[12] != ' '))
    return bad("the answer's status has not three digits");
  into.reason = line.size() > 13 ? line.substr(13) : std::string_view{};
  if (!is_field_value(into.reason)) return bad("the answer's status line has a control character");
  auto refusal = parse_fields(rest, limits, into);
  if (refusal) refusal->status = 502;
  return refusal;
}

}  // namespace karreg::proxy::http1
