#pragma once
/// What is told the scheduler of traffic, and when it was told. Pure: who looks and who sends are
/// elsewhere (traffic_reports.*).

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "common/wire/traffic.hpp"
#include "reverse-proxy/traffic.hpp"

namespace karreg::proxy {

class TrafficBook {
 public:
  using Clock = std::chrono::steady_clock;
  /// Who was not asked for this long is forgotten.
  static constexpr std::chrono::hours forgotten_after{1};

  /// @p process: name of this process, which no other one has had. @p start: nothing was asked
  /// before.
  TrafficBook(std::string process, Clock::time_point start);

  /// One look: instances with requests since the last one or in hand, what was answered since, and
  /// how many requests are held by application.
  struct Look {
    std::vector<ActiveBackend> active;
    std::map<std::string, Traffic> answered;  ///< by instance
    std::map<std::string, int> held;          ///< by application
  };
  void see(const Look& look, Clock::time_point now);
  /// What is to be told of the last look: all that was asked since the last but one that was
  /// confirmed.
  std::vector<wire::TrafficReport> report(const std::string& proxy_id) const;
  /// All parts of the last report have reached the broker.
  void confirmed();

  /// That requests are held for these applications.
  std::vector<wire::TrafficReport> call(const std::string& proxy_id,
                                        const std::map<std::string, int>& held) const;

 private:
  struct App {
    Clock::time_point active{};
    int in_hand = 0;
    int held = 0;
  };
  struct Instance {
    Clock::time_point active{};
    Traffic traffic;
    int in_hand = 0;
  };

  const std::string process_;
  const Clock::time_point start_;
  std::uint64_t number_ = 0;
  Clock::time_point looked_;     ///< the last look
  Clock::time_point confirmed_;  ///< the last one that was confirmed
  Clock::time_point told_;       ///< the one confirmed before: what came since is told
  std::map<std::string, App> apps_;
  std::map<std::string, Instance> instances_;
};

}  // namespace karreg::proxy
