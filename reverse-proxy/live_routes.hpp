#pragma once
/// The table as the workers use it: immutable, found by hash, its routes bound to the shared state
/// of their backends.

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "reverse-proxy/backend.hpp"
#include "reverse-proxy/route_table.hpp"
#include "reverse-proxy/rules/registry.hpp"

namespace karreg::proxy {

struct LiveRoute {
  std::string path;
  std::string app_id;
  bool sticky_sessions = false;
  bool force_https = false;
  bool asleep = false;  ///< requests wait until it has backends
  std::vector<std::shared_ptr<Backend>> backends;
  std::vector<int> weights;  ///< of each of them; empty for most: all have the same, and not 0
  int weight = wire::Backend::plain_weight;      ///< that one
  std::shared_ptr<const rules::AppRules> rules;  ///< nullptr: it has none
};

struct LiveTcpRoute {
  std::string app_id;
  std::vector<std::shared_ptr<Backend>> backends;
  std::vector<int> weights;  ///< as those of a LiveRoute
  int weight = wire::Backend::plain_weight;
};
/// By port.
using TcpRoutes = std::map<std::uint16_t, LiveTcpRoute>;

/// What routes are bound to, which outlives a table.
struct Bindings {
  BackendRegistry& backends;
  rules::Registry& rules;
};

/// Of one host, longest path first.
using HostRoutes = std::vector<LiveRoute>;

/// Hosts are spread over many small maps, and a table shares those with the one before it in which
/// nothing has changed: so an update costs what it changes, not what the table holds.
class LiveRoutes {
 public:
  /// Backends with an address that cannot be called are left out, with a line in the log.
  LiveRoutes(const RouteTable& table, const Bindings& to);
  /// What differs from the table before.
  struct Changed {
    std::set<std::string> hosts;
    bool tcp = false;  ///< TCP routes, which are few: all are bound again
  };
  /// As @p before, but with the routes of @p changed as @p table has them.
  LiveRoutes(const LiveRoutes& before, const RouteTable& table, const Changed& changed,
             const Bindings& to);

  /// As RouteTable::find().
  const LiveRoute* find(std::string_view host, std::string_view path) const;
  /// What a handshake for @p host (lower case) asks of the visitor. One host has one kind of
  /// handshake: where applications share it by path, the first rule of them, longest path first, is
  /// the one that is asked by, and required only where all of them have it.
  tls::ClientCheck client_check(std::string_view host) const;
  const TcpRoutes& tcp() const { return *tcp_; }
  /// nullptr: the table has none for @p port.
  const LiveTcpRoute* find_tcp(std::uint16_t port) const;
  std::uint64_t version() const { return version_; }
  /// In alphabetical order.
  std::vector<const std::string*> hosts() const;
  /// nullptr: it is not in the table.
  const HostRoutes* of_host(std::string_view host) const;
  /// All backends, some more than once.
  std::vector<std::shared_ptr<Backend>> backends() const;

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  /// Of some six hosts when there are 100 000.
  using Shard =
      std::unordered_map<std::string, std::shared_ptr<const HostRoutes>, Hash, std::equal_to<>>;
  /// In two levels: a table with one host changed copies a group and a shard, not all of them.
  static constexpr std::size_t fan_out = 128;
  using Group = std::array<std::shared_ptr<const Shard>, fan_out>;   ///< nullptr: no host in it
  using Groups = std::array<std::shared_ptr<const Group>, fan_out>;  ///< nullptr: no host in it
  struct Place {
    std::size_t group;
    std::size_t shard;
    auto operator<=>(const Place&) const = default;
  };
  static Place place_of(std::string_view host);
  /// nullptr: it has no hosts.
  const Shard* shard_at(const Place& at) const;
  /// Calls @p visit with each shard that has hosts.
  void each_shard(const std::function<void(const Shard&)>& visit) const;

  std::uint64_t version_;
  Groups groups_;
  std::shared_ptr<const TcpRoutes> tcp_;
};

/// Appends the backends of @p routes, some more than once; none for nullptr.
void append_backends(std::vector<std::shared_ptr<Backend>>& to, const HostRoutes* routes);
void append_backends(std::vector<std::shared_ptr<Backend>>& to, const TcpRoutes& routes);

}  // namespace karreg::proxy
