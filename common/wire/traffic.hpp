#pragma once
/// proxies -> scheduler: what applications and instances were asked (docs/contracts.md §2). A
/// report that is lost costs nothing, unless the next one is, too: each covers the time of two.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/json.hpp"

namespace karreg::wire {

/// Upper bounds of the buckets of times, in ms; one more bucket takes the rest.
inline constexpr std::array<int, 12> time_bounds_ms{1,   2,   5,    10,   25,     50,
                                                    100, 250, 1000, 5000, 30'000, 180'000};

/// An application whose instances have had requests in the time that is covered.
struct AppTraffic {
  std::string app_id;
  std::int64_t idle_ms = 0;  ///< since one was last seen to begin or to be in hand
  int in_hand = 0;           ///< at its instances now, WebSockets included
  int held = 0;              ///< that wait for it to wake
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(AppTraffic, app_id, idle_ms, in_hand, held)
};

/// What one instance was asked since the process began to count; it begins anew with another
/// process, and for who was not asked for an hour.
struct InstanceTraffic {
  std::string instance_id;
  std::uint64_t requests = 0;        ///< that are over
  std::uint64_t failures = 0;        ///< answers of 500 and above
  std::uint64_t times_us = 0;        ///< from first byte to last, of all together
  std::vector<std::uint64_t> times;  ///< by time_bounds_ms, one more than these
  int in_hand = 0;                   ///< now
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(InstanceTraffic, instance_id, requests, failures,
                                              times_us, times, in_hand)
};

/// One part of what a proxy tells of one moment, or, with @c parts 0, only that requests are held
/// for these applications: at once with the first one, and every second.
struct TrafficReport {
  /// Of applications and instances in one part.
  static constexpr std::size_t most_entries = 500;
  static constexpr int most_parts = 60;

  std::string proxy_id;
  std::string process;       ///< another one counts from nothing
  std::uint64_t number = 0;  ///< of the moment, counted up by the process
  std::int64_t at_ms = 0;    ///< the moment, since the process began to count
  int part = 0;              ///< 0 to parts - 1
  int parts = 0;
  /// All applications are named, in one of the parts, that had a request in this time before the
  /// moment. 0: nothing is said of those that are not named.
  std::int64_t covers_ms = 0;
  std::vector<AppTraffic> apps;
  std::vector<InstanceTraffic> instances;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(TrafficReport, proxy_id, process, number, at_ms, part,
                                              parts, covers_ms, apps, instances)
};

}  // namespace karreg::wire
