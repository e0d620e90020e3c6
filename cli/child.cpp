#include "cli/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace karreg::cli {
namespace {

constexpr int interrupted_code = 130;
const char* interrupt_note = "";

void on_interrupt(int) {
  // Only what a signal handler may do.
  static_cast<void>(::write(STDERR_FILENO, interrupt_note, std::strlen(interrupt_note)));
  ::_exit(interrupted_code);
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  for (std::string& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

/// Spawns with stdout on @p out (ours when negative).
Result<pid_t> spawn(const ChildOptions& options, int out) {
  std::vector<std::string> argv = options.argv;
  std::vector<std::string> variables;
  for (const auto& [name, value] : options.environment) variables.push_back(name + "=" + value);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (out >= 0) posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  if (options.quiet)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int code = posix_spawnp(&pid, argv.front().c_str(), &actions, nullptr,
                                pointers(argv).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  if (code != 0)
    return Error(ErrorKind::unavailable, "`" + options.argv.front() + "` cannot be started: " +
                                             std::strerror(code) + ". Is it installed?");
  return pid;
}

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

void detach_on_interrupt(const char* note) {
  interrupt_note = note;
  struct sigaction action{};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
}

Result<ChildEnd> run_child(const ChildOptions& options) {
  std::array<int, 2> pipe_ends{-1, -1};
  if (options.capture_output && ::pipe2(pipe_ends.data(), O_CLOEXEC) != 0)
    return Error(ErrorKind::internal, std::string("pipe: ") + std::strerror(errno));
  auto pid = spawn(options, pipe_ends[1]);
  if (pipe_ends[1] >= 0) ::close(pipe_ends[1]);
  if (!pid) {
    if (pipe_ends[0] >= 0) ::close(pipe_ends[0]);
    return pid.error();
  }

  ChildEnd end;
  int status = 0;
  bool reading = options.capture_output;
  bool running = true;
  while (running || reading) {
    const int wait_ms = options.on_tick ? static_cast<int>(options.tick.count()) : 100;
    pollfd waited{reading ? pipe_ends[0] : -1, POLLIN, 0};
    if (reading || options.on_tick) {
      if (::poll(&waited, 1, running ? wait_ms : 0) > 0) {
        std::array<char, 4096> piece{};
        const ssize_t n = ::read(pipe_ends[0], piece.data(), piece.size());
        if (n > 0) end.output.append(piece.data(), static_cast<std::size_t>(n));
        if (n <= 0 && errno != EINTR) reading = false;
        if (n > 0) continue;
      } else if (!running) {
        reading = false;  // a grandchild holds the pipe open
      }
    }
    // Nothing to read and nothing to do meanwhile: sleep until the end.
    const int flags = reading || options.on_tick ? WNOHANG : 0;
    if (running && ::waitpid(*pid, &status, flags) == *pid) running = false;
    if (running && options.on_tick && !end.ended_by_us && !options.on_tick()) {
      ::kill(*pid, SIGTERM);
      end.ended_by_us = true;
    }
  }
  if (pipe_ends[0] >= 0) ::close(pipe_ends[0]);
  end.exit_code = exit_code_of(status);
  return end;
}

}  // namespace karreg::cli
