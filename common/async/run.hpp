#pragma once

#include <functional>

#include "common/async/asio.hpp"

namespace karreg {

/// Runs @p io on this thread until @p stop has run: SIGTERM or SIGINT starts @p stop once (a second
/// signal ends the io_context at once). SIGPIPE is ignored for the process.
void run_until_signal(asio::io_context& io, std::function<awaitable<void>()> stop);

/// Blocks until SIGTERM or SIGINT: for programs without an io_context. Call block_signals() before
/// any thread is started.
void block_signals();
int wait_for_signal();

}  // namespace karreg
