#include "hypervisor-agent/egress/room.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace karreg::agent::egress {
namespace {

/// passt takes its addresses from an interface with a default route; nothing leaves by this one.
constexpr const char* interfaces =
    "link set lo up\n"
    "link add karreg0 type veth peer name karreg1\n"
    "addr add 10.0.2.15/24 dev karreg0\n"
    "link set karreg0 up\n"
    "link set karreg1 up\n"
    "route add default via 10.0.2.2 dev karreg0\n";

Error failed(const std::string& step) {
  return {ErrorKind::unavailable, step + ": " + std::strerror(errno)};
}

Result<void> write_text(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return failed(path);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const Result<void> result = written ? ok() : Result<void>(failed(path));
  ::close(fd);
  return result;
}

Result<void> leave_network() {
  if (::geteuid() == 0) {
    if (::unshare(CLONE_NEWNET) != 0) return failed("making a network namespace");
    return ok();
  }
  const auto uid = ::getuid();
  const auto gid = ::getgid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return failed("making a user namespace");
  // The same user inside: what runs there must not think that it is root.
  if (auto denied = write_text("/proc/self/setgroups", "deny"); !denied) return denied;
  if (auto mapped = write_text("/proc/self/uid_map", fmt::format("{0} {0} 1", uid)); !mapped)
    return mapped;
  return write_text("/proc/self/gid_map", fmt::format("{0} {0} 1", gid));
}

Result<void> make_interfaces() {
  std::FILE* ip = ::popen("PATH=/usr/sbin:/usr/bin:/sbin:/bin exec ip -batch -", "we");
  if (ip == nullptr) return failed("starting ip");
  std::fputs(interfaces, ip);
  const int status = ::pclose(ip);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return Error(ErrorKind::unavailable, "ip (of iproute2) could not make the interfaces");
  return ok();
}

Result<int> listen_inside() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("making a socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(proxy_port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, SOMAXCONN) != 0)
    return failed("listening on the room's loopback");
  return fd;
}

/// One byte, and a descriptor beside it (unix(7), SCM_RIGHTS).
bool send_descriptor(int channel, int descriptor) {
  char byte = 0;
  iovec piece{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  return ::sendmsg(channel, &message, 0) == 1;
}

/// The descriptor, or -1 with the text that came instead of it in @p why.
int receive_descriptor(int channel, std::string& why) {
  std::array<char, 512> text{};
  iovec piece{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  const ssize_t n = ::recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
  const cmsghdr* header = n > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) {
    why = n > 0 ? std::string(text.data(), static_cast<std::size_t>(n)) : "it ended at once";
    return -1;
  }
  int descriptor = -1;
  std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  return descriptor;
}

/// In the child: never returns.
[[noreturn]] void run_inside(int channel, const std::vector<std::string>& argv) {
  const auto made = [&]() -> Result<int> {
    if (auto left = leave_network(); !left) return left.error();
    if (auto up = make_interfaces(); !up) return up.error();
    return listen_inside();
  }();
  if (!made) {
    const std::string& why = made.error().message();
    (void)!::write(channel, why.data(), why.size());
    ::_exit(1);
  }
  if (!send_descriptor(channel, *made)) ::_exit(1);
  ::close(channel);
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execvp(words.front(), words.data());
  std::fprintf(stderr, "karreg-egress: starting %s: %s\n", words.front(), std::strerror(errno));
  ::_exit(127);
}

}  // namespace

Result<Room> enter_room(const std::vector<std::string>& argv) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return failed("making a pair of sockets");
  const pid_t child = ::fork();
  if (child < 0) return failed("starting a process");
  if (child == 0) {
    ::close(ends[0]);
    run_inside(ends[1], argv);
  }
  ::close(ends[1]);
  std::string why;
  const int listener = receive_descriptor(ends[0], why);
  ::close(ends[0]);
  if (listener >= 0) return Room{child, listener};
  ::waitpid(child, nullptr, 0);
  return Error(ErrorKind::unavailable, why);
}

}  // namespace karreg::agent::egress
