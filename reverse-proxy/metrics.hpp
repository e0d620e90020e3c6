#pragma once
/// What is counted, and its text for Prometheus (exposition format 0.0.4).

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/wire/traffic.hpp"

namespace karreg::proxy {

class AccessLog;
class Backend;
struct AllTraffic;

/// Written by one worker, read by whoever asks: relaxed, not a point in time.
class Counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Upper bounds of the buckets of request time, in ms; one more bucket takes the rest.
inline constexpr auto time_buckets_ms = wire::time_bounds_ms;

/// Which of them takes a request that took @p took.
std::size_t time_bucket(std::chrono::microseconds took);
/// 1 to 5: the first digit of @p status; 0: it has none.
std::size_t status_class(int status);

struct WorkerMetrics {
  Counter connections_accepted;
  Counter connections_refused;  ///< over the limit
  Counter connections_open;
  Counter handshakes;                   ///< TLS, complete
  Counter handshake_failures;           ///< TLS that did not come to stand
  Counter client_certificates_refused;  ///< of these, because of the visitor's certificate
  std::array<Counter, 6> answers;       ///< by first digit of the status; 0: none
  Counter unknown_host;
  Counter no_backend;
  Counter by_rules;          ///< answered by a rule of the application's owner
  Counter compressed;        ///< answers that the proxy has compressed
  Counter app_refused;       ///< over the share of one application
  Counter backend_failures;  ///< 502
  Counter backend_timeouts;  ///< 504
  Counter client_left;       ///< before the answer was complete
  Counter truncated;         ///< answers that the application broke off
  Counter cut;               ///< requests in hand at the end of a drain
  Counter malformed;         ///< refused as unclear or hostile
  Counter retries;
  Counter retries_refused;  ///< over the share that may be repeated
  Counter set_aside;        ///< times that an instance was
  Counter stale;            ///< kept connections that were closed when used
  Counter backend_connects;
  Counter backend_connect_failures;
  Counter backend_reuses;
  Counter tunnels_open;
  Counter tunnels;
  Counter tcp_open;  ///< connections of TCP services
  Counter tcp_connections;
  Counter tcp_failures;    ///< that reached no instance
  Counter tcp_no_backend;  ///< of these, since none serves
  Counter udp_open;        ///< senders of datagrams that are known now
  Counter udp_flows;
  Counter udp_dropped;     ///< datagrams, by us
  Counter udp_failures;    ///< flows that ended since their instance takes none
  Counter udp_no_backend;  ///< datagrams of new senders for whom there was none
  Counter held_now;        ///< requests that wait for an application to wake
  Counter held;            ///< that have waited, or wait
  Counter held_us;         ///< how long, those that wait no more
  Counter held_late;       ///< whose time was over: 503
  Counter held_left;       ///< whose client left meanwhile
  Counter held_refused;    ///< over the bounds: 503
  Counter bytes_in;
  Counter bytes_out;
  std::array<Counter, time_buckets_ms.size() + 1> times;
  Counter times_us;

  void answered(int status, std::chrono::microseconds took);
};

/// All workers together, and those applications and instances that were asked within the hour.
std::string render_metrics(std::span<const WorkerMetrics* const> workers, std::uint64_t version,
                           std::span<const std::shared_ptr<Backend>> backends,
                           const std::map<std::string, int>& draining, const AllTraffic& traffic,
                           const AccessLog& access_log);

}  // namespace karreg::proxy
