#include "hypervisor-agent/egress/policy.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/text.hpp"

namespace karreg::agent::egress {
namespace {

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 253 || text.front() == '.' || text.front() == '-') return false;
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

bool is_address(const std::string& text) {
  boost::system::error_code no_address;
  boost::asio::ip::make_address(text, no_address);
  return !no_address;
}

}  // namespace

std::optional<Target> parse_authority(std::string_view text, std::optional<std::uint16_t> usual) {
  Target target;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    target.host = text::lower(text.substr(1, close - 1));
    port = text.substr(close + 1);
    if (!is_address(target.host)) return std::nullopt;
  } else {
    const auto colon = text.find(':');
    target.host = text::lower(text.substr(0, colon));
    port = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    if (!is_name(target.host)) return std::nullopt;
  }
  if (port.empty()) {
    if (!usual) return std::nullopt;
    target.port = *usual;
    return target;
  }
  if (port.front() != ':') return std::nullopt;
  const char* end = port.data() + port.size();
  const auto [rest, failed] = std::from_chars(port.data() + 1, end, target.port);
  if (failed != std::errc() || rest != end || target.port == 0) return std::nullopt;
  return target;
}

Result<Policy> Policy::of_hosts(std::string_view hosts) {
  Policy policy;
  while (!hosts.empty()) {
    const auto end = hosts.find_first_of(" ,\t\n");
    const std::string one = text::lower(hosts.substr(0, end));
    hosts.remove_prefix(end == std::string_view::npos ? hosts.size() : end + 1);
    if (one.empty()) continue;
    const auto colon = one.find(':');
    Pattern pattern{one.substr(0, colon), std::nullopt};
    std::string_view name = pattern.name;
    if (name.starts_with("*.")) name.remove_prefix(2);
    if (colon != std::string::npos) {
      // Of any name: what is asked is whether this is a port.
      const auto target = parse_authority("name" + one.substr(colon), std::nullopt);
      if (target) pattern.port = target->port;
    }
    if ((pattern.name != "*" && (!is_name(name) || is_address(std::string(name)))) ||
        (colon != std::string::npos && !pattern.port))
      return Error(ErrorKind::invalid, "\"" + one +
                                           "\" is no name of a host, nor *. with one after it, nor "
                                           "either of them with a port");
    policy.patterns_.push_back(std::move(pattern));
  }
  return policy;
}

bool Policy::Pattern::has(const Target& target) const {
  if (port ? target.port != *port : target.port != 443 && target.port != 80) return false;
  if (name == "*" || name == target.host) return true;
  return name.starts_with("*.") && target.host.ends_with(name.substr(1));
}

Result<void> Policy::check(const Target& target) const {
  const std::string place = target.host + ":" + std::to_string(target.port);
  if (is_address(target.host))
    return Error(ErrorKind::forbidden, "builds reach hosts by their names alone, not " + place);
  for (const Pattern& pattern : patterns_)
    if (pattern.has(target)) return ok();
  if (target.port != 443 && target.port != 80)
    return Error(ErrorKind::forbidden, "builds reach the ports 443 and 80 alone, not " + place);
  return Error(ErrorKind::forbidden,
               target.host +
                   " is not among the hosts that builds may reach; the platform's operator lists "
                   "them (agent.egress_hosts)");
}

bool is_public(const boost::asio::ip::address& address) {
  namespace ip = boost::asio::ip;
  if (address.is_v6()) {
    const auto v6 = address.to_v6();
    if (v6.is_v4_mapped()) return is_public(ip::make_address_v4(ip::v4_mapped, v6));
    const auto bytes = v6.to_bytes();
    // Only 2000::/3 is given to anybody; 2001::/23 and 2002::/16 lead elsewhere.
    if ((bytes[0] & 0xE0U) != 0x20U) return false;
    if (bytes[0] == 0x20 && bytes[1] == 0x02) return false;
    return !(bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] < 0x02);
  }
  struct Range {
    std::uint32_t first;
    int bits;
  };
  constexpr std::array ranges = {
      Range{0x00000000, 8},   // this network
      Range{0x0A000000, 8},   // private
      Range{0x64400000, 10},  // shared (carrier-grade NAT)
      Range{0x7F000000, 8},   // loopback
      Range{0xA9FE0000, 16},  // link-local
      Range{0xAC100000, 12},  // private
      Range{0xC0000000, 24},  // protocol assignments
      Range{0xC0A80000, 16},  // private
      Range{0xC6120000, 15},  // benchmarks
      Range{0xE0000000, 4},   // multicast
      Range{0xF0000000, 4},   // reserved, broadcast
  };
  const std::uint32_t number = address.to_v4().to_uint();
  return std::ranges::none_of(ranges, [number](const Range& range) {
    return ((number ^ range.first) >> (32 - range.bits)) == 0;
  });
}

}  // namespace karreg::agent::egress
