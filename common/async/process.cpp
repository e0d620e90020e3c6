#include "common/async/process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "common/async/task_group.hpp"

namespace karreg {

namespace {

/// Both ends of a pipe, closed unless taken.
struct Pipe {
  std::array<int, 2> ends{-1, -1};
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    for (int fd : ends)
      if (fd >= 0) ::close(fd);
  }
  bool open() { return ::pipe2(ends.data(), O_CLOEXEC) == 0; }
  int take(std::size_t end) { return std::exchange(ends.at(end), -1); }
};

/// posix_spawn's attribute and action objects with their clean-up.
struct SpawnSetup {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnSetup() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    sigset_t set;
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&attributes, &set);
    sigaddset(&set, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &set);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (auto& s : strings) result.push_back(s.data());
  result.push_back(nullptr);
  return result;
}

awaitable<void> kill_later(Process& process, std::chrono::milliseconds grace) {
  const bool late = co_await sleep_for(grace);
  if (late) process.kill(SIGKILL);
}

awaitable<std::size_t> read_some(asio::posix::stream_descriptor& from, std::span<char> into) {
  if (!from.is_open()) co_return 0;
  auto [ec, n] = co_await from.async_read_some(asio::buffer(into.data(), into.size()), as_result);
  co_return ec ? 0 : n;
}

}  // namespace

Result<Process> Process::start(const asio::any_io_executor& executor, const Options& options) {
  auto failed = [&](int code) {
    return Error(ErrorKind::unavailable,
                 "cannot start " + options.argv.at(0) + ": " + std::strerror(code));
  };
  Pipe in;
  Pipe out;
  Pipe err;
  if (!in.open() || !out.open() || !err.open()) return failed(errno);
  SpawnSetup setup;
  posix_spawn_file_actions_adddup2(&setup.actions, in.ends[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&setup.actions, out.ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&setup.actions, options.merge_stderr ? out.ends[1] : err.ends[1],
                                   STDERR_FILENO);
  if (!options.directory.empty())
    posix_spawn_file_actions_addchdir_np(&setup.actions, options.directory.c_str());
  auto argv = options.argv;
  std::vector<std::string> env;
  env.reserve(options.env.size());
  for (const auto& [name, value] : options.env) {
    std::string entry = name;
    entry += '=';
    entry += value;
    env.push_back(std::move(entry));
  }
  pid_t pid = -1;
  const int code = ::posix_spawnp(&pid, argv[0].c_str(), &setup.actions, &setup.attributes,
                                  pointers(argv).data(), pointers(env).data());
  if (code != 0) return failed(code);
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) {
    const int reason = errno;
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return failed(reason);
  }
  return Process(executor, pid, pidfd, in.take(1), out.take(0), err.take(0));
}

Process::Process(const asio::any_io_executor& executor, pid_t pid, int pidfd, int in, int out,
                 int err)
    : pid_(pid),
      pidfd_(executor, pidfd),
      stdin_(executor, in),
      stdout_(executor, out),
      stderr_(executor, err) {}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      stdin_(std::move(other.stdin_)),
      stdout_(std::move(other.stdout_)),
      stderr_(std::move(other.stderr_)) {}

Process::~Process() {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

awaitable<Result<void>> Process::write(std::span<const char> data) {
  auto [ec, n] =
      co_await asio::async_write(stdin_, asio::buffer(data.data(), data.size()), as_result);
  if (ec)
    co_return Error(ErrorKind::unavailable, "the child process closed its input: " + ec.message());
  co_return ok();
}

void Process::close_stdin() {
  error_code ignored;
  stdin_.close(ignored);
}

awaitable<std::size_t> Process::read_stdout(std::span<char> into) {
  const std::size_t n = co_await read_some(stdout_, into);
  co_return n;
}

awaitable<std::size_t> Process::read_stderr(std::span<char> into) {
  const std::size_t n = co_await read_some(stderr_, into);
  co_return n;
}

awaitable<int> Process::wait() {
  auto [ec] = co_await pidfd_.async_wait(asio::posix::stream_descriptor::wait_read, as_result);
  if (ec) throw boost::system::system_error(ec);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  co_return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

awaitable<void> Process::wait_at_most(std::chrono::milliseconds grace) {
  if (pid_ <= 0) co_return;
  TaskGroup clock(pidfd_.get_executor());
  clock.spawn("time to end", kill_later(*this, grace));
  co_await wait();
  co_await clock.stop(std::chrono::milliseconds(0));
}

void Process::kill(int signal_number) {
  if (pid_ > 0) ::kill(-pid_, signal_number);
}

}  // namespace karreg
