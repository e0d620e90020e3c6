#include "images/guest/supervisor.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

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
/// Files that a server may hold open: the kernel's own limit (1024, 4096) is for desktops of 1990.
constexpr rlimit open_files{65'536, 524'288};
/// Between SIGTERM and SIGKILL when a deadline has passed, or when the app has ended beside its
/// workers.
constexpr auto overtime = 2s;

/// The form that exec takes; valid as long as @p words.
std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  result.reserve(words.size() + 1);
  for (auto& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

[[noreturn]] void become(const Child& child, int out, int err) {
  ::setsid();
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // Ignored signals survive exec: an app would see EPIPE where it expects to be ended.
  std::signal(SIGPIPE, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::setrlimit(RLIMIT_NOFILE, &open_files);
  if (child.as_app) {
    // So that the app can open /dev/stdout: the pipe belongs to who made it.
    if (::fchown(out, app_uid, app_gid) != 0 || ::fchown(err, app_uid, app_gid) != 0) ::_exit(126);
    if (child.max_processes > 0) {
      const rlimit limit{static_cast<rlim_t>(child.max_processes),
                         static_cast<rlim_t>(child.max_processes)};
      ::setrlimit(RLIMIT_NPROC, &limit);
    }
    const gid_t group = app_gid;
    if (::setgroups(1, &group) != 0 || ::setgid(app_gid) != 0 || ::setuid(app_uid) != 0)
      ::_exit(126);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  }
  if (::chdir(child.directory.c_str()) != 0) {
    ::dprintf(STDERR_FILENO, "cannot enter %s: %s\n", child.directory.c_str(),
              std::strerror(errno));
    ::_exit(126);
  }
  std::vector<std::string> entries;
  entries.reserve(child.env.size());
  for (const auto& [name, value] : child.env) entries.emplace_back(name).append("=").append(value);
  const auto env = pointers(entries);
  auto words = child.argv;
  const auto argv = pointers(words);
  // execvpe looks for the program in the caller's PATH, which PID 1 has none of.
  if (const auto path = child.env.find("PATH"); path != child.env.end())
    ::setenv("PATH", path->second.c_str(), 1);
  ::execvpe(argv[0], argv.data(), env.data());
  ::dprintf(STDERR_FILENO, "cannot start %s: %s\n", argv[0], std::strerror(errno));
  ::_exit(127);
}

/// Field 6 of /proc/PID/stat (proc(5)); the second is a name that may hold anything, in
/// parentheses.
pid_t session_of(const std::string& stat) {
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) return -1;
  char state = 0;
  int parent = 0;
  int group = 0;
  int session = 0;
  return std::sscanf(stat.c_str() + name_end + 1, " %c %d %d %d", &state, &parent, &group,
                     &session) == 4
             ? session
             : -1;
}

/// Kills every process of @p session.
void kill_session(pid_t session) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid > 1 && session_of(read_file(entry.path() / "stat")) == session) ::kill(pid, SIGKILL);
  }
}
}  // namespace

std::string Ended::sentence() const {
  if (oom) return "was killed: the VM ran out of memory";
  if (signal != 0)
    return "was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
  return "exited with " + std::to_string(exit_code);
}

Supervisor::Supervisor(Channel& channel) : channel_(channel) {
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &children, nullptr);
  child_events_ = ::signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC);
  if (child_events_ < 0) fail("signalfd");
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

void Supervisor::add_line(const Source& source, std::string text) {
  logs_.add({wall_time_ns(), source.stream, std::move(text), source.process}, Clock::now());
}

void Supervisor::drain(Source& source, bool& open) {
  char buffer[16UL * 1024];
  for (int i = 0; i < 16; ++i) {
    const ssize_t n = ::read(source.fd, buffer, sizeof buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
      if (auto rest = source.splitter.rest()) add_line(source, std::move(*rest));
      open = false;
      return;
    }
    for (auto& line : source.splitter.take({buffer, static_cast<std::size_t>(n)}))
      add_line(source, std::move(line));
  }
}

void Supervisor::reap() {
  signalfd_siginfo ignored;
  while (::read(child_events_, &ignored, sizeof ignored) > 0) continue;
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == child_) child_status_ = status;
    for (auto& worker : workers_)
      if (pid == worker.pid) worker.status = status;
  }
}

void Supervisor::pump(std::chrono::milliseconds timeout) {
  std::vector<pollfd> fds = {{child_events_, POLLIN, 0}};
  if (channel_.connected())
    fds.push_back({channel_.fd(), channel_.wanted_events(), 0});
  else
    timeout = std::min<std::chrono::milliseconds>(timeout, absence_tick);
  for (const auto& source : sources_) fds.push_back({source.fd, POLLIN, 0});
  auto wait = timeout;
  // Without an agent that takes them, waiting logs are no reason to wake up.
  if (const auto due = logs_.due(); due && channel_.connected() && channel_.flushed())
    wait =
        std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(*due - Clock::now()) + 1ms,
                   std::chrono::milliseconds(0), timeout);
  ::poll(fds.data(), fds.size(), static_cast<int>(wait.count()));
  std::erase_if(sources_, [&](Source& source) {
    bool open = true;
    drain(source, open);
    if (!open) ::close(source.fd);
    return !open;
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

pid_t Supervisor::start(const Child& child) {
  if (child.argv.empty()) throw std::runtime_error("there is no command to run");
  int out[2];
  int err[2];
  if (::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) fail("pipe");
  ::fcntl(out[0], F_SETFL, O_NONBLOCK);
  ::fcntl(err[0], F_SETFL, O_NONBLOCK);
  const pid_t pid = ::fork();
  if (pid < 0) fail("fork");
  if (pid == 0) become(child, out[1], err[1]);
  ::close(out[1]);
  ::close(err[1]);
  sources_.push_back({out[0], child.out_stream, child.process, {}});
  sources_.push_back({err[0], child.err_stream, child.process, {}});
  return pid;
}

Ended Supervisor::ended_by(int status) {
  Ended ended;
  ended.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  ended.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  const std::uint64_t ooms = oom_kills();
  ended.oom = !ended.good() && ooms > ooms_;
  ooms_ = ooms;
  return ended;
}

void Supervisor::begin_workers(const Child& beside, std::span<const msg::Worker> workers) {
  for (const auto& worker : workers) {
    Child child = beside;
    child.argv = {"/bin/sh", "-c", worker.command};
    child.process = worker.name;
    workers_.push_back(
        {worker.name, std::move(child), Restart(worker), -1, std::nullopt, Clock::now()});
  }
}

void Supervisor::say_end(RunningWorker& worker) {
  const auto now = Clock::now();
  const Ended ended = ended_by(*worker.status);
  // What it left behind would run beside its successor.
  kill_session(worker.pid);
  worker.pid = -1;
  worker.status.reset();
  const auto wait = worker.restart.ended(ended.good(), now);
  std::string text = "worker " + worker.name + " " + ended.sentence();
  if (wait) {
    worker.start_at = now + *wait;
    const auto ms = wait->count();
    text += ms == 0 ? ", starting again"
                    : ", starting again in " + (ms % 1000 == 0 ? std::to_string(ms / 1000) + " s"
                                                               : std::to_string(ms) + " ms");
  } else {
    text += ", and is not started again";
  }
  log(text);
}

void Supervisor::tend_workers() {
  for (auto& worker : workers_) {
    if (worker.status) say_end(worker);
    const auto now = Clock::now();
    if (!worker.start_at || now < *worker.start_at) continue;
    worker.start_at.reset();
    worker.restart.started(now);
    worker.pid = start(worker.child);
  }
}

std::optional<Clock::time_point> Supervisor::next_worker() const {
  std::optional<Clock::time_point> next;
  for (const auto& worker : workers_)
    if (worker.start_at) next = std::min(next.value_or(*worker.start_at), *worker.start_at);
  return next;
}

Ended Supervisor::run(const Child& child, std::optional<Clock::time_point> deadline,
                      const std::function<std::chrono::milliseconds()>& on_tick,
                      std::span<const msg::Worker> workers) {
  ooms_ = oom_kills();
  child_status_.reset();
  child_ = start(child);
  begin_workers(child, workers);

  Ended ended;
  std::optional<Clock::time_point> kill_at;
  const auto terminate = [&](std::chrono::milliseconds grace) {
    // A child that has not reached its own session yet is met alone.
    if (::kill(ended.timed_out ? -1 : -child_, SIGTERM) != 0) ::kill(child_, SIGTERM);
    for (const auto& worker : workers_)
      if (worker.pid > 0 && ::kill(-worker.pid, SIGTERM) != 0) ::kill(worker.pid, SIGTERM);
    kill_at = Clock::now() + grace;
  };
  // A group outlives its leader: of `sh -c "server | pretty"` the shell obeys SIGTERM at once, and
  // the server has its grace all the same.
  bool killed = false;
  const auto is_gone = [](pid_t group) { return ::kill(-group, 0) != 0 && errno == ESRCH; };
  const auto groups_are_gone = [&, group = child_] {
    return is_gone(group) && std::ranges::all_of(workers_, [&](const RunningWorker& worker) {
             return worker.pid < 0 || is_gone(worker.pid);
           });
  };
  const auto worker_runs = [&] {
    return std::ranges::any_of(workers_, [](const auto& worker) { return worker.pid > 0; });
  };
  const auto over = [&] {
    return child_status_ && (kill_at ? killed || groups_are_gone() : !worker_runs());
  };
  std::chrono::milliseconds wait{0};
  while (!over()) {
    pump(wait);
    if (!kill_at && !child_status_) tend_workers();
    wait = on_tick ? on_tick() : idle;
    const auto now = Clock::now();
    if (kill_at && now >= *kill_at) {
      ::kill(-1, SIGKILL);
      killed = true;
      kill_at = now + 1s;
    } else if (!kill_at && child_status_ && worker_runs()) {
      // They may finish what they have in hand, while nobody waits for the app any more.
      say("stopping");
      terminate(overtime);
    } else if (!kill_at && stop_) {
      ended.stopped = true;
      say("stopping");
      terminate(std::chrono::milliseconds(stop_->grace_ms));
    } else if (!kill_at && deadline && now >= *deadline) {
      ended.timed_out = true;
      terminate(overtime);
    }
    for (const auto next : {kill_at ? kill_at : deadline, next_worker()})
      if (next)
        wait = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(*next - now), 0ms, wait);
  }
  // What the child left behind, in whatever session, and its workers: everything here but PID 1
  // descends from it.
  ::kill(-1, SIGKILL);
  const Ended how = ended_by(*child_status_);
  child_ = -1;
  workers_.clear();
  ended.exit_code = how.exit_code;
  ended.signal = how.signal;
  ended.oom = how.oom;
  // Its last output is still in the pipes. They close as the killed processes end: soon, unless one
  // hangs in the kernel.
  const auto until = Clock::now() + 500ms;
  while (!sources_.empty() && Clock::now() < until) pump(10ms);
  for (auto& source : sources_) {
    bool open = true;
    drain(source, open);
    ::close(source.fd);
  }
  sources_.clear();
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
