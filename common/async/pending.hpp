#pragma once
/// A blocking call that is waited for in pieces: whoever waits goes on with something else when the
/// time is over, and comes back for the result.

#include <chrono>
#include <exception>
#include <memory>
#include <optional>

#include "common/async/asio.hpp"

namespace karreg {

/// A call on a pool, or none. Use on one executor only. Dropped before its end, the call still runs
/// to it: what it holds goes away then, on the executor.
template <class T>
class Pending {
 public:
  Pending() = default;
  /// Runs @p fn on @p pool; what it throws comes out of take().
  template <class Fn>
  Pending(asio::any_io_executor executor, asio::thread_pool& pool, Fn fn)
      : state_(std::make_shared<State>(executor)) {
    auto call = std::make_unique<Call<Fn>>(Call<Fn>{std::move(fn), state_, {}, {}});
    asio::post(pool, [executor, guard = asio::make_work_guard(executor),
                      call = std::move(call)]() mutable {
      try {
        call->value.emplace(call->fn());
      } catch (...) {
        call->failure = std::current_exception();
      }
      asio::post(executor, [call = std::move(call)] {
        call->state->value = std::move(call->value);
        call->state->failure = call->failure;
        call->state->done = true;
        call->state->bell.cancel();
      });
    });
  }

  /// Whether there is a call whose result was not taken.
  explicit operator bool() const { return state_ != nullptr; }
  bool ready() const { return state_ && state_->done; }
  /// Waits for the end of the call, at most @p timeout; whether it came.
  awaitable<bool> wait(std::chrono::milliseconds timeout) {
    const auto state = state_;
    if (!state->done) {
      state->bell.expires_after(timeout);
      (void)co_await state->bell.async_wait(as_result);
    }
    co_return state->done;
  }
  /// The result; only when ready(). There is no call after that.
  T take() {
    const auto state = std::exchange(state_, nullptr);
    if (state->failure) std::rethrow_exception(state->failure);
    return std::move(*state->value);
  }

 private:
  struct State {
    explicit State(const asio::any_io_executor& executor) : bell(executor) {}
    asio::steady_timer bell;
    bool done = false;
    std::optional<T> value;
    std::exception_ptr failure;
  };
  template <class Fn>
  struct Call {
    Fn fn;
    std::shared_ptr<State> state;
    std::optional<T> value;
    std::exception_ptr failure;
  };
  std::shared_ptr<State> state_;
};

}  // namespace karreg
