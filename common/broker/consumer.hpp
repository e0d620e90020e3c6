#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "common/broker/backoff.hpp"
#include "common/broker/connection.hpp"

namespace karreg::broker {

/// What becomes of a delivery after its handler ran.
enum class Disposition {
  ack,     ///< the effect is durable
  reject,  ///< unusable: to the dead letters
  later,   ///< a part that the effect needs is away: delivered again for as long as that lasts
  failed,  ///< the effect failed for another reason: delivered again a few times, since it may
           ///< pass, then to the dead letters, since it may not
};

/// What becomes of a delivery whose effect ended in @p error.
Disposition disposition_after(const Error& error);

/// Consumes one queue on its own thread, at least once; reconnects for ever. Between two deliveries
/// of what did not succeed it pauses, longer each time, until something succeeds again.
class Consumer {
 public:
  using Handler = std::function<Disposition(const Delivery&)>;
  using OnConnected = std::function<void()>;

  /// How often one message may fail (`failed`, or an exception of the handler).
  static constexpr int failures_to_reject = 5;

  /// @p handler and @p on_connected (after each (re)connection: the moment to ask for a snapshot)
  /// run on the consumer's thread.
  Consumer(Address address, QueueSpec queue, Handler handler, OnConnected on_connected = {});
  ~Consumer();
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;
  /// Ends after the delivery in hand; one that waits for its next try stays in the queue.
  void stop();

 private:
  void run();
  Result<void> serve(Connection& connection);
  Result<void> settle(Connection& connection, const Delivery& delivery, Disposition disposition);
  Result<void> reject(Connection& connection, const Delivery& delivery);
  Disposition handle(const Delivery& delivery);
  /// Counts a failure; whether it was one too many.
  bool is_hopeless(const Delivery& delivery);
  void pause(std::chrono::milliseconds duration);

  Address address_;
  QueueSpec queue_;
  Handler handler_;
  OnConnected on_connected_;
  Backoff tries_;
  std::map<std::size_t, int> failures_;  ///< by what a message says: tags change with each delivery
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace karreg::broker
