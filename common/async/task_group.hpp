#pragma once
/// A set of coroutines that end before their owner does.

#include <boost/asio/cancellation_signal.hpp>
#include <chrono>
#include <list>
#include <memory>
#include <string>

#include "common/async/asio.hpp"

namespace karreg {

/// Spawns coroutines on one executor, logs what escapes from them, and stops them in two stages.
/// Use on that executor only.
class TaskGroup {
 public:
  explicit TaskGroup(asio::any_io_executor executor);

  /// Starts @p task; @p name stands in the log if it throws. A task started after stop() began is
  /// dropped.
  void spawn(std::string name, awaitable<void> task);

  /// Asks all tasks to finish what they hold (cancellation type `total`), waits up to @p grace,
  /// then cuts them (`terminal`) and waits for them.
  awaitable<void> stop(std::chrono::milliseconds grace);

  bool stopping() const { return state_->stopping; }
  std::size_t size() const { return state_->signals.size(); }

 private:
  struct State {
    explicit State(const asio::any_io_executor& executor) : idle(executor) {}
    std::list<asio::cancellation_signal> signals;
    asio::steady_timer idle;
    bool stopping = false;
  };
  awaitable<bool> wait_idle(SteadyTime deadline);

  asio::any_io_executor executor_;
  std::shared_ptr<State> state_;
};

/// Waits @p duration; returns false when cancelled before.
awaitable<bool> sleep_for(std::chrono::milliseconds duration);

}  // namespace karreg
