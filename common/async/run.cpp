#include "common/async/run.hpp"

#include <boost/asio/signal_set.hpp>
#include <csignal>

#include "common/log.hpp"

namespace karreg {

namespace {
awaitable<void> watch_signals(asio::io_context& io, asio::signal_set& signals,
                              const std::function<awaitable<void>()>& stop) {
  auto [ec, number] = co_await signals.async_wait(as_result);
  if (ec) co_return;
  log::info("stopping", {log::field("signal", number)});
  // NOLINTNEXTLINE(bugprone-exception-escape): io outlives its handlers
  signals.async_wait([&io](const error_code& again, int) {
    if (!again) io.stop();
  });
  co_await stop();
  signals.cancel();
  io.stop();
}
}  // namespace

void run_until_signal(asio::io_context& io, std::function<awaitable<void>()> stop) {
  std::signal(SIGPIPE, SIG_IGN);
  asio::signal_set signals(io, SIGTERM, SIGINT);
  asio::co_spawn(io, watch_signals(io, signals, stop), [&io](std::exception_ptr failure) {
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      log::error("stopping failed", {log::field("why", e.what())});
    }
    io.stop();
  });
  io.run();
}

void block_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int wait_for_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  int number = 0;
  sigwait(&set, &number);
  return number;
}

}  // namespace karreg
