#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "images/guest/channel.hpp"
#include "images/guest/log_buffer.hpp"
#include "images/guest/process.hpp"
#include "images/guest/restarts.hpp"

namespace karreg::guest {

/// A worker beside a child (wire::guest::Worker).
struct Beside {
  std::string name;
  Child child;
  Restarts restarts;
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
  /// called between events while it runs and says how long to wait at most until the next call.
  /// Meanwhile @p workers run beside it and are started again as they wish; they end with it.
  Ended run(const Child& child, std::optional<Clock::time_point> deadline,
            const std::function<std::chrono::milliseconds()>& on_tick = {},
            std::vector<Beside> workers = {});
  /// Sends the last messages and waits (bounded) until the agent has all logs; longer when the
  /// agent is away, so that one that starts again learns how it ended.
  void finish();
  template <class T>
  void remember_and_send(const T& message);

  bool stop_requested() const { return stop_.has_value(); }

 private:
  struct Source {
    int fd;
    pid_t pid;  ///< of the child or the worker that was started with it
    std::string stream;
    std::string process;  ///< name of the worker; empty: the child
    LineSplitter splitter;
  };
  struct Worker {
    Beside what;
    pid_t pid = -1;  ///< while it runs; and when all end, also after that
    bool running = false;
    Clock::time_point began{};
    std::uint64_t ooms = 0;                  ///< killed before it began
    std::optional<Clock::time_point> due{};  ///< when it is started (again)
  };
  /// One round: poll at most @p timeout, move bytes, handle the agent's messages.
  void pump(std::chrono::milliseconds timeout);
  void handle(const wire::guest::ToGuest& message);
  /// Says that a message of the agent was too long.
  void miss_message();
  void hello();
  /// Reads what is there (of a flood, a part); false when its other end is closed.
  bool drain(Source& source);
  /// The last of a source: what is there, and a line without an end.
  void close_source(Source& source);
  void listen_to(const Started& started, const Child& child, const std::string& process);
  void keep(const Source& source, std::string line);
  void reap();
  void start_due_workers();
  void start(Worker& worker);
  /// It ended with @p status, or could not be started.
  void worker_ended(Worker& worker, Ended ended);
  void schedule(Worker& worker, const std::string& what, bool good);
  /// SIGTERM to the child and the workers, together; none is started any more.
  void terminate(bool everybody);
  /// Nobody of those who were sent SIGTERM is left.
  bool all_gone() const;

  Channel& channel_;
  int child_events_;  ///< signalfd of SIGCHLD: an idle VM sleeps
  bool more_to_reap_ = false;
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
  std::vector<Worker> workers_;
  bool ending_ = false;        ///< the child and its workers have been sent SIGTERM
  int stop_signal_ = SIGTERM;  ///< of the child
  std::uint64_t ooms_ = 0;     ///< killed before the child began, or told as the end of a worker
};

}  // namespace karreg::guest
