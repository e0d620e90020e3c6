#include "reverse-proxy/rules/address_set.hpp"

#include <algorithm>

#include "common/text.hpp"

namespace karreg::proxy::rules {

AddressSet::AddressSet(const std::vector<std::string>& allow,
                       const std::vector<std::string>& deny) {
  auto take = [this](const std::vector<std::string>& texts, bool allowed) {
    for (const auto& text : texts)
      if (const auto range = parse_cidr(text)) ranges_.push_back({*range, allowed});
  };
  take(deny, false);
  take(allow, true);
  // The same range in two ways of writing: who keeps out, wins.
  std::ranges::sort(ranges_, [](const Range& a, const Range& b) {
    if (a.range.bits != b.range.bits) return a.range.bits > b.range.bits;
    return a.allowed < b.allowed;
  });
}

std::optional<bool> AddressSet::find(const IpAddress& address) const {
  const auto found = std::ranges::find_if(
      ranges_, [&](const Range& range) { return range.range.contains(address); });
  if (found == ranges_.end()) return std::nullopt;
  return found->allowed;
}

namespace {
/// "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80".
std::optional<IpAddress> parse_with_port(std::string_view text) {
  if (const auto plain = parse_ip(text)) return plain;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    return end == std::string_view::npos ? std::nullopt : parse_ip(text.substr(1, end - 1));
  }
  return parse_ip(text.substr(0, text.rfind(':')));
}
}  // namespace

std::optional<IpAddress> visitor_address(const http1::RequestHead& head,
                                         std::string_view connection, bool trust_client) {
  std::string_view last;
  if (trust_client)
    for (const auto& field : head.fields)
      if (text::iequals(field.name, "x-forwarded-for")) last = field.value;
  if (last.empty()) return parse_ip(connection);
  last.remove_prefix(last.rfind(',') + 1);
  while (last.starts_with(' ') || last.starts_with('\t')) last.remove_prefix(1);
  while (last.ends_with(' ') || last.ends_with('\t')) last.remove_suffix(1);
  return parse_with_port(last);
}

}  // namespace karreg::proxy::rules
