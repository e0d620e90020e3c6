#pragma once
/// What a build VM may reach: pure decisions about names, ports and addresses.

#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.hpp"

namespace karreg::agent::egress {

/// Where somebody wants to go.
struct Target {
  std::string host;  ///< a name, or an address in its usual form (IPv6 without brackets)
  std::uint16_t port = 0;
  bool operator==(const Target&) const = default;
};

/// "example.org:443", "[2001:db8::1]:443". Nothing for what is malformed.
std::optional<Target> parse_authority(std::string_view text, std::optional<std::uint16_t> usual);

class Policy {
 public:
  /// @p hosts: names and "*.example.org" (the name itself is not meant), separated by blanks or
  /// commas; "*" is every name. Each may have a port, "git.example.org:8443", and then means that
  /// one alone. Error `invalid` names what is no pattern.
  static Result<Policy> of_hosts(std::string_view hosts);

  /// Whether the name and the port may be asked for: ports 80 and 443 alone, unless a pattern names
  /// another, addresses never (a registry has a name), names that the patterns have. Error
  /// `forbidden` is a sentence for the build's log.
  Result<void> check(const Target& target) const;

 private:
  struct Pattern {
    std::string name;
    std::optional<std::uint16_t> port;  ///< nothing: 80 and 443
    bool has(const Target& target) const;
  };
  std::vector<Pattern> patterns_;
};

/// Whether @p address is of the public Internet: not of this machine, nor of private, link-local,
/// shared or multicast ranges (RFC 6890), so that a name of a tenant leads to nobody's neighbour.
bool is_public(const boost::asio::ip::address& address);

}  // namespace karreg::agent::egress
