#include <catch2/catch.hpp>
#include <csignal>
#include <thread>

#include "common/async/offload.hpp"
#include "common/async/process.hpp"
#include "common/async/task_group.hpp"

using namespace karreg;
using namespace std::chrono_literals;

namespace {
/// Runs one coroutine to its end on a fresh io_context; what it throws is thrown here.
void run(awaitable<void> body) {
  asio::io_context io;
  std::exception_ptr failure;
  bool done = false;
  asio::co_spawn(io, std::move(body), [&](std::exception_ptr e) {
    failure = e;
    done = true;
  });
  io.run_for(20s);
  REQUIRE(done);
  if (failure) std::rethrow_exception(failure);
}

awaitable<void> wait_for_cancel(bool& cancelled) {
  cancelled = !co_await sleep_for(20s);
}

awaitable<void> stop_group_with_one_task(bool& cancelled) {
  TaskGroup group(co_await asio::this_coro::executor);
  group.spawn("sleeper", wait_for_cancel(cancelled));
  co_await sleep_for(1ms);
  CHECK(group.size() == 1);
  co_await group.stop(1s);
  CHECK(group.size() == 0);
}

awaitable<void> offload_answers(asio::thread_pool& pool) {
  const auto here = std::this_thread::get_id();
  auto work = [] { return std::this_thread::get_id(); };
  const auto there = co_await offload(pool, work);
  CHECK(there != here);
  CHECK(std::this_thread::get_id() == here);
  auto failing = []() -> int { throw std::runtime_error("broken"); };
  std::string message;
  try {
    co_await offload(pool, failing);
  } catch (const std::runtime_error& e) {
    message = e.what();
  }
  CHECK(message == "broken");
}

awaitable<void> cat_echoes() {
  auto started = Process::start(co_await asio::this_coro::executor,
                                {{"cat"}, {{"PATH", "/usr/bin:/bin"}}, {}, false});
  REQUIRE(started);
  Process process = std::move(*started);
  const std::string text = "hello";
  auto written = co_await process.write(text);
  REQUIRE(written);
  process.close_stdin();
  std::array<char, 64> buffer{};
  const std::size_t n = co_await process.read_stdout(buffer);
  CHECK(std::string(buffer.data(), n) == "hello");
  const int code = co_await process.wait();
  CHECK(code == 0);
}

awaitable<void> kill_reaches_grandchildren() {
  auto started =
      Process::start(co_await asio::this_coro::executor,
                     {{"sh", "-c", "sleep 30 & wait"}, {{"PATH", "/usr/bin:/bin"}}, {}, false});
  REQUIRE(started);
  Process process = std::move(*started);
  process.kill(SIGTERM);
  const int code = co_await process.wait();
  CHECK(code == 128 + SIGTERM);
  std::array<char, 8> buffer{};
  // End of file means that no process of the group holds the pipe any more.
  const std::size_t n = co_await process.read_stdout(buffer);
  CHECK(n == 0);
}

/// @p script says when its traps are set. Returns what it says when it is stopped.
awaitable<std::string> said_when_stopped(std::string script) {
  auto started = Process::start(co_await asio::this_coro::executor,
                                {{"sh", "-c", script}, {{"PATH", "/usr/bin:/bin"}}, {}, false});
  REQUIRE(started);
  Process process = std::move(*started);
  std::array<char, 64> buffer{};
  const std::size_t ready = co_await process.read_stdout(buffer);
  CHECK(std::string(buffer.data(), ready) == "ready\n");
  process.kill(SIGTERM);
  co_await process.wait_at_most(std::chrono::milliseconds(300));
  CHECK(process.pid() <= 0);
  co_await process.wait_at_most(std::chrono::milliseconds(300));
  const std::size_t n = co_await process.read_stdout(buffer);
  co_return std::string(buffer.data(), n);
}

awaitable<void> who_does_not_end_is_killed() {
  const std::string polite = co_await said_when_stopped(
      "trap 'echo cleared; exit' TERM; echo ready; while :; do sleep 0.01; done");
  CHECK(polite == "cleared\n");
  const std::string deaf =
      co_await said_when_stopped("trap '' TERM; echo ready; while :; do sleep 0.01; done");
  CHECK(deaf.empty());
}
}  // namespace

TEST_CASE("a stopped group cancels its tasks and waits for them") {
  bool cancelled = false;
  run(stop_group_with_one_task(cancelled));
  CHECK(cancelled);
}

TEST_CASE("offloaded work runs elsewhere, comes back here, and its exceptions cross") {
  asio::thread_pool pool(1);
  run(offload_answers(pool));
}

TEST_CASE("a child process gets its input and gives its output and exit code") {
  run(cat_echoes());
}

TEST_CASE("killing a child takes its whole process group") {
  run(kill_reaches_grandchildren());
}

TEST_CASE("a stopped child may clear away, and is killed when it does not end") {
  run(who_does_not_end_is_killed());
}

TEST_CASE("a program that does not exist is an error that names it") {
  asio::io_context io;
  auto started = Process::start(io.get_executor(), {{"/no/such/program"}, {}, {}, false});
  REQUIRE_FALSE(started);
  CHECK(started.error().message() == "cannot start /no/such/program: No such file or directory");
}
