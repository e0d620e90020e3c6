#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "common/cidr.hpp"

namespace karreg::proxy::rules {

/// A number for whoever is counted as one visitor: an IPv4 address, or an IPv6 network of 64 bits,
/// which one visitor has to himself. Keyed by @p secret, so that nobody can choose addresses that
/// share a number with somebody else's. Who has no address is one visitor with all others of that
/// kind.
std::uint64_t visitor_key(const std::optional<IpAddress>& address, std::uint64_t secret);

/// A number that is hard to guess.
std::uint64_t fresh_secret();

}  // namespace karreg::proxy::rules
