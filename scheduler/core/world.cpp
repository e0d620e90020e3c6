#include "scheduler/core/world.hpp"

#include <fmt/format.h>

namespace karreg::scheduler {

bool Instance::operator==(const Instance& other) const {
  const auto tied = [](const Instance& i) {
    return std::tie(i.id, i.app_id, i.deployment, i.build_id, i.job_id, i.kind, i.number, i.host_id,
                    i.flavor, i.wanted, i.phase, i.healthy, i.address, i.detail, i.last_lines,
                    i.routed, i.routed_version, i.slept, i.unwanted_at, i.healthy_at, i.ended_at);
  };
  return tied(*this) == tied(other);
}

milliseconds silence(const World& world, Time last_seen, Time now) {
  return now - std::max(last_seen, world.hearing_since);
}

bool is_live(const World& world, const Proxy& proxy, Time now) {
  return silence(world, proxy.last_seen, now) <= world.policy.proxy_live &&
         now - proxy.last_seen <= world.policy.proxy_forgotten;
}

bool is_in_service(const World& world, const Proxy& proxy, Time now) {
  return now - proxy.last_seen <= world.policy.proxy_forgotten;
}

bool host_silent(const World& world, const Instance& instance, milliseconds limit, Time now) {
  if (instance.host_id.empty()) return false;
  const auto host = world.hosts.find(instance.host_id);
  return host == world.hosts.end() || silence(world, host->second.last_seen, now) > limit;
}

std::string seconds_between(Time from, Time to) {
  return fmt::format("{:.1f} s", static_cast<double>((to - from).count()) / 1000.0);
}

}  // namespace karreg::scheduler
