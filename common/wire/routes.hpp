#pragma once
/// scheduler <-> proxies (docs/contracts.md §2). A route maps a host and a path prefix to the
/// instances that serve it; a TCP route does so with a port of the proxies.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/json.hpp"
#include "common/wire/json.hpp"
#include "common/wire/rules.hpp"

namespace karreg::wire {

/// One instance that may get requests. @c address is "host:port".
struct Backend {
  static constexpr int plain_weight = 100;
  static constexpr int most_weight = 1000;

  std::string instance_id;
  std::string address;
  /// 0 to most_weight: its share of the route's requests, among the weights of those that can be
  /// asked. 0: only who comes back by a sticky session. Absent in JSON: plain_weight.
  int weight = plain_weight;
  bool operator==(const Backend&) const = default;

  friend void to_json(nlohmann::json& to, const Backend& from) {
    to = {{"instance_id", from.instance_id}, {"address", from.address}};
    // Most have it, and a table has many.
    if (from.weight != plain_weight) to["weight"] = from.weight;
  }
  friend void from_json(const nlohmann::json& from, Backend& to) {
    to.instance_id = from.value("instance_id", std::string());
    to.address = from.value("address", std::string());
    to.weight = from.value("weight", plain_weight);
  }
};

/// Key: (@c host, @c path). @c host is lower case without port; @c path is a prefix that begins and
/// ends with '/'. An empty backend list means: the app is known but nothing serves it now (503), or
/// it sleeps.
struct Route {
  std::string host;
  std::string path = "/";
  std::string app_id;
  bool sticky_sessions = false;
  bool force_https = false;
  std::vector<Backend> backends;
  SharedRules rules = {};  ///< absent: none
  bool asleep = false;     ///< without backends: requests wait for some, and the scheduler is told
  bool operator==(const Route&) const = default;

  friend void to_json(nlohmann::json& to, const Route& from) {
    to = {{"host", from.host},
          {"path", from.path},
          {"app_id", from.app_id},
          {"sticky_sessions", from.sticky_sessions},
          {"force_https", from.force_https},
          {"backends", from.backends}};
    // Most have none, and a table has many routes.
    if (from.rules.present()) to["rules"] = from.rules;
    if (from.asleep) to["asleep"] = true;
  }
  friend void from_json(const nlohmann::json& from, Route& to) {
    const Route plain;
    to.host = from.value("host", plain.host);
    to.path = from.value("path", plain.path);
    to.app_id = from.value("app_id", plain.app_id);
    to.sticky_sessions = from.value("sticky_sessions", plain.sticky_sessions);
    to.force_https = from.value("force_https", plain.force_https);
    to.backends = from.value("backends", plain.backends);
    to.rules = from.value("rules", plain.rules);
    to.asleep = from.value("asleep", plain.asleep);
  }
};

/// Where instances listen for the connections of TCP services, and for datagrams.
inline constexpr std::uint16_t tcp_service_port = 4040;

/// Connections and datagrams (UDP) to @c port of any proxy, of whatever protocol, go to the
/// instances of an application. Its key is the port. An empty backend list means: nothing serves it
/// now; connections are reset, and datagrams dropped.
struct TcpRoute {
  std::uint16_t port = 0;
  std::string app_id;
  std::vector<Backend> backends;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(TcpRoute, port, app_id, backends)
  bool operator==(const TcpRoute&) const = default;
};

struct RouteKey {
  std::string host;
  std::string path = "/";
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(RouteKey, host, path)
  auto operator<=>(const RouteKey&) const = default;
};

/// The whole table as of @c version, for a proxy that reported @c for_version: only that one may
/// go back to an older table than it has.
struct RouteSnapshot {
  std::uint64_t version = 0;
  std::vector<Route> routes;
  std::uint64_t for_version = 0;
  std::vector<TcpRoute> tcp_routes = {};
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(RouteSnapshot, version, routes, for_version,
                                              tcp_routes)
};

/// Route by route: a table may have a hundred thousand.
template <>
std::string to_text(const RouteSnapshot& value);
template <>
Result<RouteSnapshot> from_text(std::string_view text, std::string_view what);

/// What changed from @c base to @c version. Applies only to a table of version @c base; a proxy
/// that has another one asks for a snapshot by reporting its version.
struct RouteUpdate {
  std::uint64_t base = 0;
  std::uint64_t version = 0;
  std::vector<Route> upserts;
  std::vector<RouteKey> removes;
  std::vector<TcpRoute> tcp_upserts = {};
  std::vector<std::uint16_t> tcp_removes = {};  ///< ports
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(RouteUpdate, base, version, upserts, removes,
                                              tcp_upserts, tcp_removes)

  /// Whether it says anything of TCP routes.
  bool about_tcp() const { return !tcp_upserts.empty() || !tcp_removes.empty(); }
};

/// proxy -> scheduler: at start, after applied versions (one report for those of 20 ms), when a
/// drain makes progress, and every 2 s.
struct ProxyReport {
  std::string proxy_id;
  std::uint64_t version = 0;    ///< of the table that all workers use; 0: none yet
  bool wants_snapshot = false;  ///< the last update did not fit, or there is no table
  std::map<std::string, int>
      draining;  ///< instance id -> requests in flight, for instances no longer in the table
  bool stopping = false;  ///< goes away on purpose: do not wait for its acks
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(ProxyReport, proxy_id, version, wants_snapshot,
                                              draining, stopping)
};

}  // namespace karreg::wire
