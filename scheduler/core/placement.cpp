// Which host an instance goes to: the live one with the most free memory after placing (worst fit
// spreads the load and keeps room for large ones). Builds go to hosts that share the data folder.
#include <fmt/format.h>

#include <algorithm>

#include "common/flavors.hpp"
#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

namespace {

std::int64_t memory_of(const std::string& flavor) {
  const auto found = find_flavor(flavor);
  return found ? found->memory_mb : 0;
}

/// Which VMs count.
enum class Holding {
  all,
  wanted,           ///< without those that are being stopped
  wanted_instances  ///< nor those that build or do a job, which end by themselves
};

bool takes(const Host& host, InstanceKind kind) {
  return kind != InstanceKind::build || host.builds;
}

/// Memory not given to any VM yet, MiB, of hosts that may get one of @p kind now.
std::map<std::string, std::int64_t> free_memory(const World& world, Time now, InstanceKind kind,
                                                Holding holding = Holding::all) {
  std::map<std::string, std::int64_t> free;
  for (const auto& [id, host] : world.hosts)
    if (takes(host, kind) && now - host.last_seen <= world.policy.host_fresh)
      free[id] = host.memory_mb;
  for (const auto& [id, instance] : world.instances) {
    const auto host = free.find(instance.host_id);
    const bool holds = holding == Holding::all      ? !instance.ended_at
                       : holding == Holding::wanted ? instance.alive()
                                                    : instance.alive() && instance.runs();
    if (host != free.end() && holds) host->second -= memory_of(instance.flavor);
  }
  return free;
}

bool fits(const std::map<std::string, std::int64_t>& free, const std::string& flavor) {
  return std::ranges::any_of(free,
                             [&](const auto& host) { return host.second >= memory_of(flavor); });
}

}  // namespace

std::string no_room(const World& world, const std::string& flavor, Time now, InstanceKind kind) {
  const auto free = free_memory(world, now, kind);
  if (free.empty())
    return host_is_up(world, now) ? "no host that shares the data folder is up, and builds need it"
                                  : "no host is up";
  std::int64_t unplaced = 0;
  for (const auto& [id, instance] : world.instances)
    if (instance.host_id.empty() && instance.alive()) unplaced += memory_of(instance.flavor);
  std::int64_t most = 0;
  for (const auto& [id, memory] : free) most = std::max(most, memory);
  const std::int64_t want = memory_of(flavor);
  if (most - unplaced >= want) return {};
  return fmt::format("an instance of size {} needs {} MiB, the freest host has {} MiB", flavor,
                     want, std::max<std::int64_t>(0, most - unplaced));
}

bool room_comes(const World& world, const std::string& flavor, Time now) {
  return fits(free_memory(world, now, InstanceKind::run, Holding::wanted), flavor);
}

bool room_after_builds(const World& world, const std::string& flavor, Time now) {
  return fits(free_memory(world, now, InstanceKind::build, Holding::wanted_instances), flavor);
}

bool host_is_up(const World& world, Time now) {
  return !free_memory(world, now, InstanceKind::run).empty();
}

void place(Round& round) {
  auto free = free_memory(round.world, round.now, InstanceKind::run);
  for (auto& [id, instance] : round.world.instances) {
    if (!instance.host_id.empty() || !instance.alive()) continue;
    const std::int64_t want = memory_of(instance.flavor);
    auto best = free.end();
    for (auto it = free.begin(); it != free.end(); ++it)
      if (takes(round.world.hosts.at(it->first), instance.kind) && it->second >= want &&
          (best == free.end() || it->second > best->second))
        best = it;
    if (best == free.end()) continue;
    instance.host_id = best->first;
    best->second -= want;
  }
}

}  // namespace karreg::scheduler
