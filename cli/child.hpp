#pragma once
/// Programs that commands run: git, a browser.

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "cli/profile.hpp"
#include "common/error.hpp"

namespace karreg::cli {

struct ChildOptions {
  std::vector<std::string> argv;  ///< argv[0] is looked up in PATH
  Environment environment;        ///< the whole of it
  bool capture_output = false;    ///< stdout into ChildEnd::output instead of ours
  bool quiet = false;             ///< stderr is dropped
  /// Called about every @c tick while the child runs; false ends it with SIGTERM.
  std::function<bool()> on_tick;
  std::chrono::milliseconds tick{500};
};

struct ChildEnd {
  int exit_code = 0;  ///< 128 + signal when it was killed
  std::string output;
  bool ended_by_us = false;
};

/// Runs a program to its end. Error `unavailable` when it cannot be started.
Result<ChildEnd> run_child(const ChildOptions& options);

/// From here on Ctrl-C writes @p note on stderr and ends the program with 130. @p note must outlive
/// the program's end: a literal.
void detach_on_interrupt(const char* note);

}  // namespace karreg::cli
