#include "common/async/task_group.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>

#include "common/log.hpp"

namespace karreg {

TaskGroup::TaskGroup(asio::any_io_executor executor)
    : executor_(std::move(executor)), state_(std::make_shared<State>(executor_)) {}

void TaskGroup::spawn(std::string name, awaitable<void> task) {
  if (state_->stopping) return;
  auto state = state_;
  auto signal = state->signals.emplace(state->signals.end());
  auto done = [state, signal, name = std::move(name)](std::exception_ptr failure) {
    state->signals.erase(signal);
    if (state->signals.empty()) state->idle.cancel();
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const boost::system::system_error& e) {
      if (e.code() != asio::error::operation_aborted)
        log::error("task failed", {log::field("task", name), log::field("why", e.what())});
    } catch (const std::exception& e) {
      log::error("task failed", {log::field("task", name), log::field("why", e.what())});
    }
  };
  asio::co_spawn(executor_, std::move(task),
                 asio::bind_cancellation_slot(signal->slot(), std::move(done)));
}

awaitable<bool> TaskGroup::wait_idle(SteadyTime deadline) {
  auto state = state_;
  while (!state->signals.empty()) {
    state->idle.expires_at(deadline);
    auto [ec] = co_await state->idle.async_wait(as_result);
    if (!ec) co_return state->signals.empty();
  }
  co_return true;
}

awaitable<void> TaskGroup::stop(std::chrono::milliseconds grace) {
  auto state = state_;
  state->stopping = true;
  // A handler may end at once and leave the list: walk a copy of the iterators' order safely.
  for (auto it = state->signals.begin(); it != state->signals.end();) {
    auto current = it++;
    current->emit(asio::cancellation_type::total);
  }
  const bool idle = co_await wait_idle(std::chrono::steady_clock::now() + grace);
  if (idle) co_return;
  for (auto it = state->signals.begin(); it != state->signals.end();) {
    auto current = it++;
    current->emit(asio::cancellation_type::terminal);
  }
  const bool cut = co_await wait_idle(std::chrono::steady_clock::now() + std::chrono::seconds(5));
  if (!cut) log::error("tasks did not end when cut", {log::field("left", state->signals.size())});
}

awaitable<bool> sleep_for(std::chrono::milliseconds duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  auto [ec] = co_await timer.async_wait(as_result);
  co_return !ec;
}

}  // namespace karreg
