#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "images/guest/channel.hpp"
#include "images/guest/log_buffer.hpp"
#include "images/guest/restart.hpp"

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

/// What to start.
struct Child {
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;
  std::string directory = "/";
  bool as_app = true;  ///< the unprivileged user; false: root, for the platform's own tools
  std::string out_stream = "out";  ///< names of the log streams of stdout and stderr
  std::string err_stream = "err";
  std::string process;             ///< name in the log; empty: the app itself
  std::int64_t max_processes = 0;  ///< RLIMIT_NPROC; 0: no limit
};

/// The event loop of PID 1: one child at a time and the workers beside it, the channel, the logs,
/// orphans.
class Supervisor {
 public:
  explicit Supervisor(Channel& channel);

  /// Waits for the agent's configuration, answering `attach` with `hello`. Nothing when the agent
  /// says stop instead, or when what it says is too long to be read, which is told as the exit.
  std::optional<wire::guest::Config> wait_for_config();
  void say(const std::string& phase, const std::string& detail = {});
  /// A line of the init itself.
  void log(const std::string& text);
  /// Runs @p child to its end or to @p deadline; whatever it leaves behind is killed. @p on_tick is
  /// called between events while it runs and says how long to wait at most until the next call. @p
  /// workers run beside it, in its folder and with its environment, and end with it.
  Ended run(const Child& child, std::optional<Clock::time_point> deadline,
            const std::function<std::chrono::milliseconds()>& on_tick = {},
            std::span<const wire::guest::Worker> workers = {});
  /// Sends the last messages and waits (bounded) until the agent has all logs; longer when the
  /// agent is away, so that one that starts again learns how it ended.
  void finish();
  template <class T>
  void remember_and_send(const T& message);

  bool stop_requested() const { return stop_.has_value(); }

 private:
  struct Source {
    int fd;
    std::string stream;
    std::string process;
    LineSplitter splitter;
  };
  struct RunningWorker {
    std::string name;
    Child child;
    Restart restart;
    pid_t pid = -1;                             ///< -1: it does not run
    std::optional<int> status;                  ///< it ended so
    std::optional<Clock::time_point> start_at;  ///< it is started (again) then
  };
  /// One round: poll at most @p timeout, move bytes, handle the agent's messages.
  void pump(std::chrono::milliseconds timeout);
  void handle(const wire::guest::ToGuest& message);
  /// Says that a message of the agent was too long.
  void miss_message();
  void hello();
  void drain(Source& source, bool& open);
  void reap();
  /// Starts @p child in a session of its own; its output becomes a source.
  pid_t start(const Child& child);
  /// How a child ended; what the kernel killed for want of memory since the last one counts as it.
  Ended ended_by(int status);
  void begin_workers(const Child& beside, std::span<const wire::guest::Worker> workers);
  /// Starts those whose time has come, and sees to those that ended.
  void tend_workers();
  void say_end(RunningWorker& worker);
  /// When tend_workers() has something to do next without an event.
  std::optional<Clock::time_point> next_worker() const;
  void add_line(const Source& source, std::string text);

  Channel& channel_;
  int child_events_;  ///< signalfd of SIGCHLD: an idle VM sleeps
  LogBuffer logs_;
  std::vector<Source> sources_;
  std::optional<wire::guest::Config> config_;
  std::optional<wire::guest::Stop> stop_;
  std::optional<wire::guest::State> state_;
  std::optional<wire::guest::BuildResult> build_result_;
  std::optional<wire::guest::Exit> exit_;
  std::int64_t started_ms_ = 0;
  pid_t child_ = -1;
  std::optional<int> child_status_;
  std::vector<RunningWorker> workers_;
  std::uint64_t ooms_ = 0;  ///< of the kernel, as far as they are somebody's end
};

}  // namespace karreg::guest
