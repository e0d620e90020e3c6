#pragma once
/// A reverse proxy: it follows the routes as the real one does (reverse-proxy/follower.hpp), and
/// keeps its table on its disk. Its visitors' requests for what sleeps wait, and it tells of
/// traffic as the real one does (reverse-proxy/traffic_book.hpp).

#include <map>
#include <optional>

#include "dice.hpp"
#include "reverse-proxy/follower.hpp"
#include "reverse-proxy/traffic_book.hpp"

namespace karreg::simulation {

class Front {
 public:
  Front(std::string id, Dice& dice) : id_(std::move(id)), dice_(dice) {}

  const std::string& id() const { return id_; }
  const proxy::RouteTable& table() const { return follower_.table(); }
  bool up() const { return up_; }
  /// Instances out of the table with requests in flight.
  const std::map<std::string, Time>& flights() const { return flights_; }

  void take(const wire::RouteUpdate& update, Time now);
  void take(const wire::RouteSnapshot& snapshot, Time now);
  std::optional<wire::ProxyReport> report(Time now);
  /// A visitor asks for an application.
  void ask(const std::string& app, Time now);
  /// Since when requests wait for applications that sleep.
  const std::map<std::string, Time>& held() const { return held_; }
  /// What the scheduler is to hear of visitors.
  std::vector<wire::TrafficReport> traffic(Time now);
  void kill();
  void start(Time now);

  /// Its table may be old without anybody being wrong: it was away from the scheduler.
  bool excused = true;
  Time in_time{};  ///< when it last had the newest table

 private:
  template <class Message>
  void follow(const Message& message, Time now);
  void replaced(const proxy::RouteTable& before, Time now);
  void send(const std::string& app, const wire::Route& route, Time now);

  std::string id_;
  Dice& dice_;
  proxy::Follower follower_;
  std::map<std::string, Time> flights_;
  /// Requests of visitors: of which application, at which instance, until when.
  struct Asked {
    std::string app;
    Time until{};
  };
  std::map<std::string, Asked> asked_;
  std::map<std::string, Time> held_;
  int starts_ = 0;
  std::optional<proxy::TrafficBook> book_;
  Time next_traffic_{};
  Time next_call_{};
  bool up_ = true;
  bool changed_ = true;
  Time next_report_{};
};

}  // namespace karreg::simulation
