#include "images/guest/supervisor.hpp"

#include <poll.h>
#include <sched.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <exception>

#include "images/guest/system.hpp"

namespace karreg::guest {

using namespace std::chrono_literals;
namespace msg = wire::guest;

namespace {
/// How long the agent gets to fetch the last lines before the VM ends without them.
constexpr auto farewell_time = 5s;
/// The same for an agent that is away, perhaps being started again.
constexpr auto lonely_farewell_time = 60s;
/// How often an absent agent is looked for: its port reports a hang-up without pause, so poll(2)
/// cannot wait for it.
constexpr auto absence_tick = 50ms;
/// Nothing else needs to be looked at without an event.
constexpr auto idle = 60s;
/// What has ended is reaped so many at a time: a fork bomb ends as fast as it begins, and PID 1 has
/// deadlines to keep.
constexpr int reaped_at_once = 256;
/// Between SIGTERM and SIGKILL when a deadline has passed, and for workers whose app is gone.
constexpr auto overtime = 2s;

/// PID 1 comes before all that it starts: among thousands of processes that want to run it would
/// keep no deadline. It waits nearly always.
void go_first() {
  sched_param priority{};
  priority.sched_priority = 1;
  if (::sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &priority) != 0)
    fail("setting the priority of PID 1");
}
}  // namespace

Supervisor::Supervisor(Channel& channel) : channel_(channel) {
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &children, nullptr);
  child_events_ = ::signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC);
  if (child_events_ < 0) fail("signalfd");
  go_first();
}

void Supervisor::hello() {
  channel_.send(msg::Hello{msg::protocol_version, config_.has_value(),
                           config_ ? config_->instance_id : std::string(), started_ms_, true});
}

std::optional<msg::Config> Supervisor::wait_for_config() {
  started_ms_ = uptime_ms();
  hello();
  while (!config_ && !stop_ && !exit_) pump(idle);
  if (exit_) finish();
  return config_;
}

void Supervisor::say(const std::string& phase, const std::string& detail) {
  state_ = msg::State{phase, uptime_ms(), detail};
  channel_.send(*state_);
}

template <>
void Supervisor::remember_and_send(const msg::BuildResult& message) {
  build_result_ = message;
  channel_.send(message);
}

template <>
void Supervisor::remember_and_send(const msg::Exit& message) {
  exit_ = message;
  channel_.send(message);
}

void Supervisor::log(const std::string& text) {
  logs_.add({wall_time_ns(), "karreg", text}, Clock::now());
}

void Supervisor::handle(const msg::ToGuest& message) {
  if (const auto* config = std::get_if<msg::Config>(&message)) {
    if (!config_) config_ = *config;
  } else if (const auto* ack = std::get_if<msg::LogAck>(&message)) {
    logs_.ack(ack->seq);
  } else if (const auto* stop = std::get_if<msg::Stop>(&message)) {
    if (!stop_) stop_ = *stop;
  } else if (const auto* ping = std::get_if<msg::Ping>(&message)) {
    channel_.send(msg::Pong{ping->id});
  } else if (const auto* time = std::get_if<msg::Time>(&message)) {
    follow_clock(time->time_ns);
  } else {
    // A new agent: it knows nothing yet.
    hello();
    if (state_) channel_.send(*state_);
    if (build_result_) channel_.send(*build_result_);
    if (exit_) channel_.send(*exit_);
    logs_.resend();
  }
}

void Supervisor::miss_message() {
  const std::string what = "a message to the VM was longer than " +
                           std::to_string(msg::max_line_bytes / 1024) +
                           " KiB and could not be read";
  if (config_)
    log(what);
  else if (!exit_)
    remember_and_send(msg::Exit{1, 0, false, what + "; is the environment of the app that large?"});
}

void Supervisor::keep(const Source& source, std::string line) {
  logs_.add({wall_time_ns(), source.stream, std::move(line), source.process}, Clock::now());
}

bool Supervisor::drain(Source& source) {
  char buffer[16UL * 1024];
  for (int i = 0; i < 16; ++i) {
    const ssize_t n = ::read(source.fd, buffer, sizeof buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n <= 0) return false;
    for (auto& line : source.splitter.take({buffer, static_cast<std::size_t>(n)}))
      keep(source, std::move(line));
  }
  return true;
}

void Supervisor::close_source(Source& source) {
  drain(source);
  if (auto rest = source.splitter.rest()) keep(source, std::move(*rest));
  ::close(source.fd);
}

void Supervisor::listen_to(const Started& started, const Child& child, const std::string& process) {
  sources_.push_back({started.out, started.pid, child.out_stream, process, {}});
  sources_.push_back({started.err, started.pid, child.err_stream, process, {}});
}

void Supervisor::reap() {
  signalfd_siginfo ignored;
  while (::read(child_events_, &ignored, sizeof ignored) > 0) continue;
  more_to_reap_ = false;
  for (int left = reaped_at_once;; --left) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    if (left == 0) {
      more_to_reap_ = true;
      return;
    }
    const pid_t pid = info.si_pid;
    const auto worker = std::ranges::find_if(
        workers_, [pid](const Worker& w) { return w.running && w.pid == pid; });
    // At a stop its session has the grace, too.
    if (worker != workers_.end() && !ending_) kill_session(pid);
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid) return;
    if (pid == child_) child_status_ = status;
    if (worker != workers_.end()) worker_ended(*worker, ended_with(status));
  }
}

void Supervisor::start_due_workers() {
  for (auto& worker : workers_)
    if (worker.due && Clock::now() >= *worker.due) start(worker);
}

void Supervisor::start(Worker& worker) {
  worker.due.reset();
  worker.began = Clock::now();
  worker.ooms = oom_kills();
  try {
    const Started started = guest::start(worker.what.child);
    worker.pid = started.pid;
    worker.running = true;
    listen_to(started, worker.what.child, worker.what.name);
  } catch (const std::exception& e) {
    // For want of processes, which may end: no reason to end the app.
    schedule(worker, std::string("could not be started: ") + e.what(), false);
  }
}

void Supervisor::worker_ended(Worker& worker, Ended ended) {
  worker.running = false;
  // Also a shell's way to say that its command was killed.
  const bool killed = ended.signal == SIGKILL || ended.exit_code == 128 + SIGKILL;
  if (const auto ooms = oom_kills(); killed && ooms > std::max(worker.ooms, ooms_)) {
    ended.oom = true;
    ooms_ = ooms;
  }
  if (!ending_) {
    // Before it is told how it ended. Who has left its session, and still could write, is not
    // heard.
    std::erase_if(sources_, [&](Source& source) {
      if (source.pid != worker.pid) return false;
      close_source(source);
      return true;
    });
    worker.pid = -1;
  }
  schedule(worker, ended.sentence(), ended.good());
}

void Supervisor::schedule(Worker& worker, const std::string& what, bool good) {
  std::string line = "worker " + worker.what.name + " " + what;
  if (!ending_ && !child_status_) {
    const auto now = Clock::now();
    const auto delay = worker.what.restarts.after(good, worker.began, now);
    if (delay) worker.due = now + *delay;
    line +=
        delay ? ", starting again in " + duration(delay->count()) : ", and is not started again";
  }
  log(line);
}

void Supervisor::terminate(bool everybody) {
  ending_ = true;
  for (auto& worker : workers_) worker.due.reset();
  if (everybody) {
    ::kill(-1, SIGTERM);
    return;
  }
  if (child_status_)
    ::kill(-child_, stop_signal_);
  else
    signal_group(child_, stop_signal_);
  for (const auto& worker : workers_)
    if (worker.running) signal_group(worker.pid, SIGTERM);
}

bool Supervisor::all_gone() const {
  // A group outlives its leader: of `sh -c "server | pretty"` the shell obeys SIGTERM at once, and
  // the server has its grace all the same.
  return group_is_gone(child_) && std::ranges::all_of(workers_, [](const Worker& worker) {
           return !worker.running && (worker.pid < 0 || group_is_gone(worker.pid));
         });
}

void Supervisor::pump(std::chrono::milliseconds timeout) {
  std::vector<pollfd> fds = {{child_events_, POLLIN, 0}};
  if (channel_.connected())
    fds.push_back({channel_.fd(), channel_.wanted_events(), 0});
  else
    timeout = std::min<std::chrono::milliseconds>(timeout, absence_tick);
  for (const auto& source : sources_) fds.push_back({source.fd, POLLIN, 0});
  if (more_to_reap_) timeout = 0ms;
  auto wait = timeout;
  // Without an agent that takes them, waiting logs are no reason to wake up.
  if (const auto due = logs_.due(); due && channel_.connected() && channel_.flushed())
    wait =
        std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(*due - Clock::now()) + 1ms,
                   std::chrono::milliseconds(0), timeout);
  ::poll(fds.data(), fds.size(), static_cast<int>(wait.count()));
  std::erase_if(sources_, [&](Source& source) {
    if (drain(source)) return false;
    close_source(source);
    return true;
  });
  reap();
  channel_.pump();
  while (auto message = channel_.receive()) handle(*message);
  if (channel_.overflowed()) miss_message();
  while (channel_.connected() && channel_.flushed()) {
    auto batch = logs_.next(Clock::now());
    if (!batch) break;
    channel_.send(*batch);
    channel_.pump();
  }
}

Ended Supervisor::run(const Child& child, std::optional<Clock::time_point> deadline,
                      const std::function<std::chrono::milliseconds()>& on_tick,
                      std::vector<Beside> workers) {
  ooms_ = oom_kills();
  child_status_.reset();
  ending_ = false;
  stop_signal_ = child.stop_signal;
  const Started started = guest::start(child);
  child_ = started.pid;
  listen_to(started, child, {});
  for (auto& worker : workers) {
    workers_.push_back({std::move(worker)});
    start(workers_.back());
  }

  bool timed_out = false;
  bool stopped = false;
  bool killed = false;
  std::optional<Clock::time_point> kill_at;
  const auto end_within = [&](std::chrono::milliseconds grace) {
    terminate(timed_out);
    kill_at = Clock::now() + grace;
  };
  const auto over = [&] {
    if (!child_status_) return false;
    if (kill_at) return killed || all_gone();
    return std::ranges::none_of(workers_, &Worker::running);
  };
  std::chrono::milliseconds wait{0};
  while (!over()) {
    pump(wait);
    wait = on_tick ? on_tick() : idle;
    const auto now = Clock::now();
    if (kill_at && now >= *kill_at) {
      ::kill(-1, SIGKILL);
      killed = true;
      kill_at = now + 1s;
    } else if (!kill_at && stop_) {
      stopped = true;
      say("stopping");
      end_within(std::chrono::milliseconds(stop_->grace_ms));
    } else if (!kill_at && deadline && now >= *deadline) {
      timed_out = true;
      end_within(overtime);
    } else if (!kill_at && child_status_) {
      end_within(overtime);
    }
    const auto until = [&](Clock::time_point next) {
      wait = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(next - now), 0ms, wait);
    };
    if (kill_at) {
      until(*kill_at);
    } else {
      start_due_workers();
      if (deadline) until(*deadline);
      for (const auto& worker : workers_)
        if (worker.due) until(*worker.due);
    }
  }
  // What the child left behind, in whatever session: everything here but PID 1 descends from it.
  ending_ = true;
  ::kill(-1, SIGKILL);
  Ended ended = ended_with(*child_status_);
  ended.timed_out = timed_out;
  ended.stopped = stopped;
  ended.oom = !ended.good() && oom_kills() > ooms_;
  child_ = -1;
  // Its last output is still in the pipes. They close as the killed processes end: soon, unless one
  // hangs in the kernel.
  const auto until = Clock::now() + 500ms;
  while (!sources_.empty() && Clock::now() < until) pump(10ms);
  for (auto& source : sources_) close_source(source);
  sources_.clear();
  workers_.clear();
  return ended;
}

void Supervisor::finish() {
  logs_.hurry();
  const auto begin = Clock::now();
  const auto away_until = begin + lonely_farewell_time;
  auto until = begin + farewell_time;
  while (!(logs_.empty() && channel_.flushed())) {
    const auto now = Clock::now();
    if (!channel_.connected()) until = now + farewell_time;
    if (now >= until || now >= away_until) break;
    pump(absence_tick);
  }
}

}  // namespace karreg::guest
