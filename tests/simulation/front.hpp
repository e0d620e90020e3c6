#pragma once
/// A reverse proxy: its table is the proxy's own (reverse-proxy/route_table.hpp), kept on its disk.

#include <map>
#include <optional>

#include "dice.hpp"
#include "reverse-proxy/route_table.hpp"

namespace karreg::simulation {

class Front {
 public:
  Front(std::string id, Dice& dice) : id_(std::move(id)), dice_(dice) {}

  const std::string& id() const { return id_; }
  const proxy::RouteTable& table() const { return table_; }
  bool up() const { return up_; }
  /// Instances out of the table with requests in flight.
  const std::map<std::string, Time>& flights() const { return flights_; }

  void take(const wire::RouteUpdate& update, Time now);
  void take(const wire::RouteSnapshot& snapshot, Time now);
  std::optional<wire::ProxyReport> report(Time now);
  void kill();
  void start();

  /// Its table may be old without anybody being wrong: it was away from the scheduler.
  bool excused = true;
  Time in_time{};  ///< when it last had the newest table

 private:
  void replaced(const proxy::RouteTable& before, Time now);

  std::string id_;
  Dice& dice_;
  proxy::RouteTable table_;
  std::map<std::string, Time> flights_;
  bool up_ = true;
  bool wants_snapshot_ = true;
  bool changed_ = true;
  Time next_report_{};
};

}  // namespace karreg::simulation
