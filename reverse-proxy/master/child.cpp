#include "reverse-proxy/master/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "reverse-proxy/master/line.hpp"

namespace karreg::proxy {

namespace {
constexpr int could_not_start = 127;

std::vector<char*> arguments(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  // execvp() takes what it does not change as if it did.
  for (const auto& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  return argv;
}

/// Between fork and exec: nothing that is not async-signal-safe.
[[noreturn]] void turn_into(pid_t parent, const char* program, char* const* argv,
                            const std::vector<int>& inherited) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before that.
  if (::getppid() != parent) ::_exit(could_not_start);
  for (const int fd : inherited) ::fcntl(fd, F_SETFD, 0);
  ::execvp(program, argv);
  ::_exit(could_not_start);
}
}  // namespace

Result<pid_t> start_process(const std::string& program, const std::vector<std::string>& command,
                            const std::vector<int>& inherited) {
  const auto argv = arguments(command);
  const auto parent = ::getpid();
  const auto pid = ::fork();
  if (pid == 0) turn_into(parent, program.c_str(), argv.data(), inherited);
  if (pid < 0)
    return Error(ErrorKind::internal,
                 fmt::format("cannot start {}: {}", program, std::strerror(errno)));
  return pid;
}

Error become(const std::string& program, const std::vector<std::string>& command) {
  const auto argv = arguments(command);
  ::execvp(program.c_str(), argv.data());
  return Error(ErrorKind::internal,
               fmt::format("cannot run {}: {}", program, std::strerror(errno)));
}

void keep_on_exec(int fd, bool keep) {
  ::fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

std::string take_message(const Descriptor& line, bool& over) {
  std::array<char, line::longest_message> bytes;  // NOLINT(*-member-init): the kernel writes it
  const auto size = ::recv(line.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  over = size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
  return size > 0 ? std::string(bytes.data(), static_cast<std::size_t>(size)) : std::string();
}

bool send_message(const Descriptor& line, std::string_view message,
                  std::span<const int> descriptors) {
  message = message.substr(0, line::longest_message);
  // The kernel reads only.
  iovec text{const_cast<char*>(message.data()), message.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(line::most_descriptors * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &text;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    KARREG_INVARIANT(descriptors.size() <= line::most_descriptors);
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    auto* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  }
  return ::sendmsg(line.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(message.size());
}

}  // namespace karreg::proxy
