#pragma once
/// How a proxy follows the desired table. Pure: messages in, decisions out.
///
/// A delta applies only to the version it was made for; anything else asks for the whole table. A
/// snapshot wins, unless it is older than our table and does not answer a report of the version in
/// use: then it was late on its way, and would bring back instances that were stopped. One that
/// does answer it wins also over a higher version: the database says what is true, and it may have
/// been restored. A route that breaks a rule is left out and named, so that one bad row stops
/// nobody else's deployment.

#include <optional>
#include <string>
#include <vector>

#include "reverse-proxy/route_table.hpp"

namespace karreg::proxy {

class Follower {
 public:
  struct Decision {
    bool use_table = false;                   ///< table() has changed: let all workers use it
    std::optional<wire::RouteUpdate> update;  ///< all that has changed, when that is known
    std::vector<std::string> left_out;        ///< why routes are not in it
  };

  /// The broker is (again) there: what was said meanwhile is lost.
  void connected() { wants_snapshot_ = true; }
  Decision take(const wire::RouteUpdate& update);
  Decision take(wire::RouteSnapshot snapshot);
  /// The workers did not take the table over: start again from the whole.
  void not_used() {
    used_ = used_before_;
    wants_snapshot_ = true;
  }
  /// A table saved before the start; serves until the scheduler speaks.
  void restore(RouteTable table);

  const RouteTable& table() const { return table_; }
  bool wants_snapshot() const { return wants_snapshot_; }

 private:
  Decision use_table(Decision decision);

  RouteTable table_;
  std::uint64_t used_ = 0;  ///< version that reports name
  std::uint64_t used_before_ = 0;
  bool wants_snapshot_ = true;
};

}  // namespace karreg::proxy
