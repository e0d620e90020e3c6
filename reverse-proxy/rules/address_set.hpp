#pragma once
/// Who may come, by address. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/cidr.hpp"
#include "reverse-proxy/http1/head.hpp"

namespace karreg::proxy::rules {

/// Ranges with a verdict each; the longest that holds an address decides, wherever it stands.
class AddressSet {
 public:
  AddressSet() = default;
  /// What is no range in CIDR notation is left out: wire::read_rules() lets none by.
  AddressSet(const std::vector<std::string>& allow, const std::vector<std::string>& deny);

  /// The verdict of the longest range; nothing: no range holds it.
  std::optional<bool> find(const IpAddress& address) const;
  bool empty() const { return ranges_.empty(); }

 private:
  struct Range {
    Cidr range;
    bool allowed = false;
  };
  std::vector<Range> ranges_;  ///< longest first
};

/// The visitor's address: the one that @p connection comes from or, with @p trust_client (a proxy
/// of ours is before us), the last of X-Forwarded-For, which that proxy has written. Nothing: it
/// cannot be read.
std::optional<IpAddress> visitor_address(const http1::RequestHead& head,
                                         std::string_view connection, bool trust_client);

}  // namespace karreg::proxy::rules
