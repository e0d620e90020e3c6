#include "reverse-proxy/rules/visitor_key.hpp"

#include <algorithm>
#include <random>

namespace karreg::proxy::rules {

namespace {
/// The finaliser of MurmurHash3: every bit of the result depends on every bit of @p n.
std::uint64_t mixed(std::uint64_t n) {
  n ^= n >> 33U;
  n *= 0xff51afd7ed558ccdU;
  n ^= n >> 33U;
  n *= 0xc4ceb9fe1a85ec53U;
  return n ^ (n >> 33U);
}

std::uint64_t number(std::span<const std::uint8_t> bytes) {
  std::uint64_t n = 0;
  for (const auto byte : bytes) n = n << 8U | byte;
  return n;
}
}  // namespace

std::uint64_t visitor_key(const std::optional<IpAddress>& address, std::uint64_t secret) {
  if (!address) return mixed(secret);
  const std::span bytes(address->bytes);
  const auto first = number(bytes.first<8>());
  const auto second = address->is_v4() ? number(bytes.last<8>()) : 0;
  return mixed(mixed(secret ^ first) + (secret ^ second));
}

std::uint64_t fresh_secret() {
  std::random_device random;
  return std::uint64_t{random()} << 32U | random();
}

}  // namespace karreg::proxy::rules
