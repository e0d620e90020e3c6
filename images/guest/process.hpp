#pragma once
/// Processes that PID 1 starts, each the leader of a session of its own.

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "images/guest/image_config.hpp"

namespace karreg::guest {

/// How a child ended.
struct Ended {
  int exit_code = 0;
  int signal = 0;
  bool oom = false;
  bool timed_out = false;  ///< killed by us at its deadline
  bool stopped = false;    ///< killed because the agent said stop
  /// "exited with 1", "was killed by signal 9 (Killed)", "was killed: the VM ran out of memory".
  std::string sentence() const;
  bool good() const { return exit_code == 0 && signal == 0 && !timed_out && !stopped; }
};
/// From the status that wait(2) gives.
Ended ended_with(int status);

/// What to start.
struct Child {
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;
  std::string directory = "/";
  bool as_app = true;  ///< @c user; false: root, for the platform's own tools
  User user = {};
  bool own_users = false;  ///< in a user namespace whose root is @c user (wire::guest::BuildStep)
  int stop_signal = SIGTERM;       ///< what ends it gracefully
  std::string out_stream = "out";  ///< names of the log streams of stdout and stderr
  std::string err_stream = "err";
  std::int64_t max_processes = 0;  ///< RLIMIT_NPROC; 0: no limit
};

/// One that was started, and the ends of its stdout and stderr that can be read without waiting.
struct Started {
  pid_t pid;
  int out;
  int err;
};
/// Throws std::runtime_error when there is no command, no pipe or no process to be had; a command
/// that cannot be executed ends with 126 or 127, and says why on its stderr.
Started start(const Child& child);

/// To the process group of @p leader; to it alone when it has not reached its own session yet.
void signal_group(pid_t leader, int signal);
bool group_is_gone(pid_t leader);
/// Kills whoever is in the session of @p leader, also in process groups of their own. While @p
/// leader is not waited for, its number is nobody else's.
void kill_session(pid_t leader);

}  // namespace karreg::guest
