#pragma once
/// What each application and each instance was asked and how it answered. A worker counts for
/// itself, without atomics or locks; who wants to know asks it for a copy.

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "reverse-proxy/metrics.hpp"

namespace karreg::proxy {

/// A request that is over.
struct Answered {
  int status = 0;  ///< as in the access log
  std::chrono::microseconds took{0};
  int attempts = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

/// A connection of a TCP service that is over.
struct TcpEnded {
  bool reached = false;  ///< an instance
  int attempts = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

struct Traffic {
  std::array<std::uint64_t, 6> answers{};  ///< by first digit of the status; 0: none
  std::array<std::uint64_t, time_buckets_ms.size() + 1> times{};
  std::uint64_t times_us = 0;  ///< all together
  std::uint64_t retries = 0;   ///< attempts after the first
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t tcp_connections = 0;
  std::uint64_t tcp_failures = 0;  ///< of these, those that reached no instance

  void add(const Answered& request);
  void add(const TcpEnded& connection);
  void add(const Traffic& other);
  /// What came since @p before; all of it, when it has begun anew since (another process serves, or
  /// it was forgotten).
  Traffic since(const Traffic& before) const;
  std::uint64_t requests() const;
  /// The time, in ms, that @p part (0 to 1) of the requests took at most: the upper bound of its
  /// bucket, of which the last has none (infinity); 0 without requests.
  double time_ms(double part) const;

 private:
  bool goes_on_from(const Traffic& before) const;
};

/// By name; for one thread.
class TrafficTable {
 public:
  using Clock = std::chrono::steady_clock;
  /// Who was not asked for this long is forgotten, so that it is bounded by those in use.
  static constexpr std::chrono::hours forgotten_after{1};

  /// @p what: an Answered or a TcpEnded.
  template <class What = Answered>
  void add(std::string_view name, const What& what, Clock::time_point now) {
    auto found = entries_.find(name);
    if (found == entries_.end()) found = entries_.emplace(name, Entry{}).first;
    found->second.traffic.add(what);
    found->second.last = now;
    if (found->second.news) return;
    found->second.news = true;
    news_.push_back(&*found);
  }
  void forget_idle(Clock::time_point now);
  void add_to(std::map<std::string, Traffic>& all) const;
  /// Adds what came since the last call. It costs what was asked since, not what is known.
  void move_news(std::map<std::string, Traffic>& to);

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  struct Entry {
    Traffic traffic;
    Traffic told;  ///< of that, by move_news()
    Clock::time_point last;
    bool news = false;  ///< it is in news_
  };
  using Entries = std::unordered_map<std::string, Entry, Hash, std::equal_to<>>;
  Entries entries_;
  std::vector<Entries::value_type*> news_;
};

/// An instance with requests.
struct ActiveBackend {
  std::string app_id;
  std::string instance_id;
  int in_flight = 0;
};

/// Of all workers.
struct AllTraffic {
  std::map<std::string, Traffic> apps;       ///< by app id
  std::map<std::string, Traffic> instances;  ///< by instance id
};

}  // namespace karreg::proxy
