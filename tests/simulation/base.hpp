#pragma once
/// The database, with the scheduler's stores around it: what the SQL of scheduler/shell does, as
/// plain code.

#include <optional>
#include <set>

#include "common/wire/host.hpp"
#include "common/wire/routes.hpp"
#include "common/wire/traffic.hpp"
#include "scheduler/core/world.hpp"

namespace karreg::simulation {

using scheduler::Time;
using scheduler::World;

class Base {
 public:
  World world;
  std::map<std::string, scheduler::Deployment> past;  ///< deployments that matter no more
  std::map<std::string, scheduler::Job> ended_jobs;
  std::map<std::string, scheduler::Roll> ended_rolls;

  /// save_host_report(); whether the agent has an older state than was sent.
  bool saw(const wire::HostReport& report, Time now);
  /// save_proxy_report(); the snapshot that it writes for the proxy, if any.
  std::optional<wire::RouteSnapshot> saw(const wire::ProxyReport& report, Time now);
  /// save_traffic_report(); whether requests are held.
  bool saw(const wire::TrafficReport& report, Time now);
  /// save_world(); the routes' news, if they changed.
  std::optional<wire::RouteUpdate> save(World after, Time now);
  /// send_desired_states(): for each host whose wanted VMs are not those last sent.
  std::vector<wire::HostDesired> desired_to_send();
  /// What an agent should run now.
  std::set<std::string> wanted_on(const std::string& host) const;

 private:
  struct Sent {
    std::uint64_t generation = 0;
    std::set<std::string> ids;
    bool again = true;
    Time resent{};
  };
  /// proxy_traffic.
  struct Coverage {
    std::string process;
    std::uint64_t number = 0;
    std::int64_t at_ms = -1;
    std::uint64_t parts = 0;  ///< seen
    std::optional<Time> since;
    Time until{};
  };
  void forget(Time now);

  std::map<std::string, Sent> sent_;
  std::map<std::string, Coverage> coverage_;
  std::optional<Time> routes_changed_;
};

}  // namespace karreg::simulation
