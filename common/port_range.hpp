#pragma once

#include <cstdint>
#include <string>

#include "common/config.hpp"
#include "common/error.hpp"

namespace karreg {

/// The ports of TCP services (setting `tcp.ports`), from @c first to @c last; none when both are 0.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  bool empty() const { return first == 0; }
  bool contains(std::uint16_t port) const { return !empty() && port >= first && port <= last; }
  std::size_t size() const { return empty() ? 0 : static_cast<std::size_t>(last - first) + 1; }
  bool operator==(const PortRange&) const = default;
};

/// So many ports one range has at most: each costs every proxy a descriptor for each worker.
inline constexpr std::size_t most_ports = 5'000;

/// Of "4000-4999"; an empty text is the empty range. Error `invalid` says what is wrong.
Result<PortRange> parse_port_range(const std::string& text);

/// The setting `tcp.ports`, which the programs of a platform share; and its value.
Setting tcp_ports_setting();
Result<PortRange> tcp_ports(const Config& config);

}  // namespace karreg
