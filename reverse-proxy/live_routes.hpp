#pragma once
/// The table as the workers use it: immutable, found by hash, its routes bound to the shared state
/// of their backends.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "reverse-proxy/backend.hpp"
#include "reverse-proxy/route_table.hpp"

namespace karreg::proxy {

struct LiveRoute {
  std::string path;
  std::string app_id;
  bool sticky_sessions = false;
  bool force_https = false;
  std::vector<std::shared_ptr<Backend>> backends;
};

class LiveRoutes {
 public:
  /// Backends with an address that cannot be called are left out, with a line in the log.
  LiveRoutes(const RouteTable& table, BackendRegistry& registry);

  /// As RouteTable::find().
  const LiveRoute* find(std::string_view host, std::string_view path) const;
  std::uint64_t version() const { return version_; }
  /// In alphabetical order.
  std::vector<const std::string*> hosts() const;
  /// Longest path first; the host must be there.
  const std::vector<LiveRoute>& of_host(const std::string& host) const { return by_host_.at(host); }
  /// All backends, some more than once.
  std::vector<std::shared_ptr<Backend>> backends() const;

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::uint64_t version_;
  /// By host; longest path first.
  std::unordered_map<std::string, std::vector<LiveRoute>, Hash, std::equal_to<>> by_host_;
};

}  // namespace karreg::proxy
