#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "common/broker/connection.hpp"

namespace karreg::broker {

/// What becomes of a delivery after its handler ran.
enum class Disposition {
  ack,     ///< the effect is durable
  reject,  ///< unusable: to the dead letters
  later,   ///< the effect failed for now: delivered again
};

/// Consumes one queue on its own thread, at least once; reconnects for ever.
class Consumer {
 public:
  using Handler = std::function<Disposition(const Delivery&)>;
  using OnConnected = std::function<void()>;

  /// @p handler and @p on_connected (after each (re)connection: the moment to ask for a snapshot)
  /// run on the consumer's thread.
  Consumer(Address address, QueueSpec queue, Handler handler, OnConnected on_connected = {});
  ~Consumer();
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;
  /// Ends after the delivery in hand.
  void stop();

 private:
  void run();
  Result<void> serve(Connection& connection);

  Address address_;
  QueueSpec queue_;
  Handler handler_;
  OnConnected on_connected_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace karreg::broker
