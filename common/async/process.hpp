#pragma once
/// Child processes of a coroutine program.

#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/async/asio.hpp"
#include "common/error.hpp"

namespace karreg {

/// A child in a process group of its own, with pipes on stdin, stdout and stderr. Killed (whole
/// group) when destroyed before it was waited for.
class Process {
 public:
  struct Options {
    std::vector<std::string> argv;           ///< argv[0] is looked up in PATH
    std::map<std::string, std::string> env;  ///< the whole environment of the child
    std::string directory;                   ///< working directory; empty: ours
    bool merge_stderr = false;               ///< stderr goes where stdout goes
  };

  /// Error `unavailable` when the program cannot be started.
  static Result<Process> start(const asio::any_io_executor& executor, const Options& options);
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  /// Writes all of @p data to the child's stdin. Error `unavailable` when the child closed it.
  awaitable<Result<void>> write(std::span<const char> data);
  /// The child sees end of file.
  void close_stdin();
  /// Reads some bytes; 0 means end of file.
  awaitable<std::size_t> read_stdout(std::span<char> into);
  awaitable<std::size_t> read_stderr(std::span<char> into);
  /// Waits for the end: the exit code, or 128 + signal.
  awaitable<int> wait();
  /// Sends @p signal_number to the whole process group.
  void kill(int signal_number);
  /// Waits for the end, and kills the whole process group when that has not come within @p grace.
  /// Does nothing once it was waited for.
  awaitable<void> wait_at_most(std::chrono::milliseconds grace);
  pid_t pid() const { return pid_; }

 private:
  Process(const asio::any_io_executor& executor, pid_t pid, int pidfd, int in, int out, int err);

  pid_t pid_;
  asio::posix::stream_descriptor pidfd_;
  asio::posix::stream_descriptor stdin_;
  asio::posix::stream_descriptor stdout_;
  asio::posix::stream_descriptor stderr_;
};

}  // namespace karreg
