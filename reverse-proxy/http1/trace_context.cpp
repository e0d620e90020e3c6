#include "reverse-proxy/http1/trace_context.hpp"

#include <algorithm>

#include "common/text.hpp"

namespace karreg::proxy::http1 {

namespace {
constexpr std::string_view parent_name = "traceparent";
constexpr std::string_view state_name = "tracestate";
constexpr std::size_t trace_at = 3;
constexpr std::size_t trace_size = 32;
constexpr std::size_t span_at = trace_at + trace_size + 1;
constexpr std::size_t span_size = 16;
constexpr std::size_t flags_at = span_at + span_size + 1;
constexpr std::size_t whole_size = flags_at + 2;

bool is_hex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view text) {
  return is_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

bool is_valid(std::string_view value) {
  if (value.size() < whole_size) return false;
  const auto version = value.substr(0, 2);
  if (!is_hex(version) || version == "ff") return false;
  // A later version may say more, after a dash.
  if (version == "00" ? value.size() > whole_size
                      : value.size() > whole_size && value[whole_size] != '-')
    return false;
  return value[2] == '-' && value[span_at - 1] == '-' && value[flags_at - 1] == '-' &&
         is_id(value.substr(trace_at, trace_size)) && is_id(value.substr(span_at, span_size)) &&
         is_hex(value.substr(flags_at, 2));
}
}  // namespace

std::optional<std::string_view> trace_id_of(const RequestHead& head) {
  std::optional<std::string_view> parent;
  for (const auto& field : head.fields) {
    if (!text::iequals(field.name, parent_name)) continue;
    if (parent || !is_valid(field.value)) return std::nullopt;
    parent = field.value;
  }
  if (!parent) return std::nullopt;
  return parent->substr(trace_at, trace_size);
}

bool is_trace_field(std::string_view name) {
  return text::iequals(name, parent_name) || text::iequals(name, state_name);
}

void append_traceparent(std::string& out, std::string_view trace_id) {
  out += "traceparent: 00-";
  out += trace_id;
  out += '-';
  out += trace_id.substr(trace_size - span_size);
  out += "-00\r\n";
}

}  // namespace karreg::proxy::http1
