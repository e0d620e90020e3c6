#pragma once
/// The desired routes as a value: the table that the scheduler wants every proxy to have. Pure.
///
/// It changes only through apply(), which checks the whole update before it touches anything, and
/// diff() turns two tables into the update between them: apply(a, diff(a, b)) == b.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.hpp"
#include "common/wire/routes.hpp"

namespace karreg::proxy {

/// By host, then by path.
struct RouteOrder {
  using is_transparent = void;
  struct Place {
    std::string_view host;
    std::string_view path;
    auto operator<=>(const Place&) const = default;
  };
  static Place place(const Place& place) { return place; }
  static Place place(const std::shared_ptr<const wire::Route>& route) {
    return {route->host, route->path};
  }
  bool operator()(const auto& a, const auto& b) const { return place(a) < place(b); }
};

class RouteTable {
 public:
  /// Routes are shared: a copy of a table costs little, and who has one may read it while the other
  /// changes.
  using Routes = std::set<std::shared_ptr<const wire::Route>, RouteOrder>;

  RouteTable() = default;
  /// Error `invalid` names the route that breaks a rule.
  static Result<RouteTable> from(wire::RouteSnapshot snapshot);
  /// Without the routes that break a rule, and with the last one of several for one place; why is
  /// added to @p left_out.
  static RouteTable of_usable(wire::RouteSnapshot snapshot, std::vector<std::string>& left_out);
  wire::RouteSnapshot snapshot() const;

  /// Error `conflict`: @p update is for another version than ours (ask for a snapshot). Error
  /// `invalid`: a route in it breaks a rule. After an error the table is as before.
  Result<void> apply(const wire::RouteUpdate& update);
  /// What to apply to @p from to get @p to.
  static wire::RouteUpdate diff(const RouteTable& from, const RouteTable& to);

  /// The route for @p host (lower case, no port) with the longest prefix of @p path, or nullptr. A
  /// prefix "/api/" also takes the path "/api".
  const wire::Route* find(std::string_view host, std::string_view path) const;

  /// The routes of @p host, by path.
  std::vector<const wire::Route*> of_host(std::string_view host) const;

  /// Ends the program if a rule of the wire type does not hold.
  void check_invariants() const;

  std::uint64_t version() const { return version_; }
  bool empty() const { return routes_.empty() && tcp_routes_.empty(); }
  /// Routes of hosts.
  std::size_t size() const { return routes_.size(); }
  const Routes& routes() const { return routes_; }
  /// By port.
  const std::map<std::uint16_t, wire::TcpRoute>& tcp_routes() const { return tcp_routes_; }
  bool operator==(const RouteTable& other) const;

 private:
  /// False: there was one for its place, which it replaces.
  bool put(std::shared_ptr<const wire::Route> route);

  std::uint64_t version_ = 0;
  Routes routes_;
  std::map<std::uint16_t, wire::TcpRoute> tcp_routes_;
};

/// Why @p route may not stand in a table, naming it; ok otherwise.
Result<void> check_route(const wire::Route& route);
Result<void> check_route(const wire::TcpRoute& route);

/// Whether the prefix @p prefix ('/' at both ends) takes @p path.
bool prefix_takes(std::string_view prefix, std::string_view path);

}  // namespace karreg::proxy
