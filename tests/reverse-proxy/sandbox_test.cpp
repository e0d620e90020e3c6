// In processes of their own: what is given away is given away for good.
#include "reverse-proxy/sandbox.hpp"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <functional>
#include <thread>

#include "common/sanitized.hpp"
#include "support/scratch.hpp"

using namespace karreg;

namespace {

/// What @p work gives in a process of its own; 255 when that does not end by itself.
int in_a_process(const std::function<int()>& work) {
  const auto pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) _exit(work());
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/// 0 when @p call is refused with EPERM.
int refused(const std::function<long()>& call) {
  if (!proxy::forbid_other_calls()) return 2;
  errno = 0;
  return call() == -1 && errno == EPERM ? 0 : 1;
}

}  // namespace

TEST_CASE("a confined process starts no programs and no processes, and looks into no other") {
  if (sanitized()) {
    WARN("skipped: nothing is forbidden to a program with sanitizers");
    return;
  }
  // Each of these succeeds for a process that is not confined, whoever runs the test.
  CHECK(in_a_process([] {
          return refused([] {
            const char* argv[] = {"/bin/false", nullptr};
            return static_cast<long>(execv("/bin/false", const_cast<char* const*>(argv)));
          });
        }) == 0);
  CHECK(in_a_process([] {
          return refused([] {
            const auto child = fork();
            if (child == 0) _exit(0);
            return static_cast<long>(child);
          });
        }) == 0);
  CHECK(in_a_process([] {
          return refused([] { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); });
        }) == 0);
  CHECK(in_a_process([] { return refused([] { return static_cast<long>(setuid(getuid())); }); }) ==
        0);
  CHECK(in_a_process(
            [] { return refused([] { return static_cast<long>(kill(getppid(), 0)); }); }) == 0);
}

TEST_CASE("a confined process has files, sockets and threads") {
  const test::ScratchFolder folder;
  const std::string file = folder / "file";
  CHECK(in_a_process([&] {
          if (!proxy::forbid_other_calls()) return 2;
          int sum = 0;
          std::thread([&] { sum = 1; }).join();
          const int made = open(file.c_str(), O_CREAT | O_WRONLY, 0600);
          const int talks = socket(AF_INET, SOCK_STREAM, 0);
          return sum == 1 && made >= 0 && talks >= 0 ? 0 : 1;
        }) == 0);
}

TEST_CASE("a process that becomes another user stays it, and has its folder") {
  if (geteuid() != 0) {
    WARN("skipped: only root becomes another user");
    return;
  }
  const test::ScratchFolder folder;
  std::filesystem::permissions(folder.path(), std::filesystem::perms::all);
  CHECK(in_a_process([&] {
          if (!proxy::become_user("nobody", folder / "proxy")) return 2;
          const int made = open((folder / "proxy/file").c_str(), O_CREAT | O_WRONLY, 0600);
          return getuid() != 0 && geteuid() != 0 && setuid(0) == -1 && made >= 0 ? 0 : 1;
        }) == 0);
  const auto unknown = proxy::become_user("no-such-user", folder / "proxy");
  REQUIRE_FALSE(unknown);
  CHECK_THAT(unknown.error().message(), Catch::Contains("no user \"no-such-user\""));
}
