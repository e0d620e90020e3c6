#pragma once
/// Child processes of threads that have nothing else to do: blocking, with a deadline, and to be
/// ended from another thread.

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/error.hpp"

namespace karreg {

/// One child at a time.
class Child {
 public:
  struct Program {
    std::vector<std::string> argv;
    std::map<std::string, std::string> env;  ///< besides PATH and what says which web proxy to use
    std::chrono::milliseconds patience{};    ///< then it is killed, with all that it has started
    /// Called every now and then while it runs; an error ends it, and is the result.
    std::function<Result<void>()> meanwhile = {};
  };
  struct Ended {
    int exit_code = 0;
    std::string error_output;  ///< the end of it
  };
  /// What the child is told for a line of its output; nothing: it gets the end of its input.
  using Answer = std::function<std::optional<std::string>(const std::string& line)>;

  /// Writes @p input, gives each line of output to @p answer, and waits for the end. Error
  /// `timeout`: its time was over; `unavailable`: it does not start, or stop() was called.
  Result<Ended> run(const Program& program, const std::string& input, const Answer& answer);
  /// Any thread: ends the child in hand, and lets no further one begin.
  void stop();

 private:
  std::atomic<bool> stopping_{false};
};

}  // namespace karreg
