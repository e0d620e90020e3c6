#pragma once

#include <coroutine>
#include <utility>

#include "reverse-proxy/loop/loop.hpp"

namespace karreg::proxy {

/// `co_await signal` waits until it is told; what was told before nobody waited is not lost, and is
/// told once. One coroutine waits at a time.
class Signal {
 public:
  explicit Signal(Loop& loop) : loop_(loop) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  void tell() {
    told_ = true;
    if (waiting_) loop_.resume_soon(std::exchange(waiting_, nullptr));
  }

  bool await_ready() const noexcept { return told_; }
  void await_suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
  void await_resume() noexcept { told_ = false; }

 private:
  Loop& loop_;
  std::coroutine_handle<> waiting_;
  bool told_ = false;
};

}  // namespace karreg::proxy
