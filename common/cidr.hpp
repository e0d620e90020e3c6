#pragma once
/// IP addresses and ranges of them in CIDR notation (RFC 4632, RFC 4291 §2.3). Pure.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace karreg {

/// An address of either family: IPv4 as IPv6 maps it (::ffff:0:0/96), so that one comparison does.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  bool is_v4() const;
  auto operator<=>(const IpAddress&) const = default;
};

/// "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"; nothing for anything else, also with brackets,
/// port or zone.
std::optional<IpAddress> parse_ip(std::string_view text);

/// All addresses that begin with the first @c bits of @c base (of 128: an IPv4 range has 96 more
/// than is written).
struct Cidr {
  IpAddress base;
  int bits = 128;
  bool contains(const IpAddress& address) const;
  auto operator<=>(const Cidr&) const = default;
};

/// "10.0.0.0/8", "2001:db8::/32", or one address. Nothing when it is none, the length does not fit
/// the family, or bits are set behind it ("10.0.0.1/8" means something else to everyone).
std::optional<Cidr> parse_cidr(std::string_view text);

}  // namespace karreg
