// karreg-egress: runs a program (passt, the network of a build VM) in a network whose only way out
// is a proxy that reaches the hosts of a list.
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>

#include "hypervisor-agent/egress/proxy.hpp"
#include "hypervisor-agent/egress/room.hpp"

namespace {

using namespace karreg;
using namespace karreg::agent::egress;

struct Asked {
  std::string hosts;
  std::string pid_file;
  std::string user;
  bool private_addresses = false;
  std::vector<std::string> command;
};

int complain(const std::string& why) {
  std::cerr << "karreg-egress: " << why << '\n';
  return 1;
}

Result<void> become(const std::string& user) {
  if (user.empty() || ::geteuid() != 0) return ok();
  const passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr) return Error(ErrorKind::invalid, "--user: there is no user " + user);
  if (::initgroups(user.c_str(), entry->pw_gid) != 0 || ::setgid(entry->pw_gid) != 0 ||
      ::setuid(entry->pw_uid) != 0)
    return Error(ErrorKind::unavailable, "becoming " + user + ": " + std::strerror(errno));
  return ok();
}

/// Carries what comes until the process @p pid has ended.
void serve_while_it_runs(int pidfd, int listener, ProxyOptions options) {
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io, asio::ip::tcp::v4(), listener);
  asio::co_spawn(io, serve(acceptor, options), asio::detached);
  asio::posix::stream_descriptor end(io, pidfd);
  end.async_wait(asio::posix::stream_descriptor::wait_read,
                 [&io](boost::system::error_code) { io.stop(); });
  io.run();
}

int exit_code_of(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int open_process(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

/// The streams belong to who started us, and waits for their end.
void let_go_of_streams() {
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int stream : {0, 1, 2}) ::dup2(nothing, stream);
  ::setsid();
}

int run(const Asked& asked) {
  auto policy = Policy::of_hosts(asked.hosts);
  if (!policy) return complain("--hosts: " + policy.error().message());
  const ProxyOptions options{std::move(*policy), asked.private_addresses};
  auto room = enter_room(asked.command);
  if (!room) return complain("the network of the build: " + room.error().message());
  if (asked.pid_file.empty()) {
    if (auto other = become(asked.user); !other) return complain(other.error().message());
    serve_while_it_runs(open_process(room->program), room->listener, options);
    return exit_code_of(room->program);
  }
  // It goes to the background once it is ready.
  if (const int code = exit_code_of(room->program); code != 0) return code;
  pid_t pid = 0;
  std::ifstream(asked.pid_file) >> pid;
  const int pidfd = pid > 1 ? open_process(pid) : -1;
  if (pidfd < 0) return complain("no process is named by " + asked.pid_file);
  if (auto other = become(asked.user); !other) return complain(other.error().message());
  const pid_t background = ::fork();
  if (background < 0) return complain("starting a process: " + std::string(std::strerror(errno)));
  if (background > 0) return 0;
  let_go_of_streams();
  serve_while_it_runs(pidfd, room->listener, options);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Runs COMMAND in a network of its own, where nothing is reached but a proxy at "
      "127.0.0.1:3128, "
      "which reaches the hosts of a list.",
      "karreg-egress");
  Asked asked;
  app.add_option("--hosts", asked.hosts,
                 "Names and *.names that may be reached at ports 443 and 80; * is every name")
      ->required();
  app.add_flag("--private", asked.private_addresses,
               "Names may lead to addresses that are not public, too");
  app.add_option("--pid", asked.pid_file,
                 "COMMAND goes to the background and leaves its number in this file: serve in the "
                 "background, too, until it ends");
  app.add_option("--user", asked.user, "The user that the proxy runs as, when started as root");
  app.add_option("COMMAND", asked.command, "The program and its arguments, after --")->required();
  CLI11_PARSE(app, argc, argv);
  return run(asked);
}
