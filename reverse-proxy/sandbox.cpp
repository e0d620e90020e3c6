#include "reverse-proxy/sandbox.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "common/handle.hpp"
#include "common/log.hpp"
#include "common/sanitized.hpp"

namespace karreg::proxy {

namespace {

/// All that karreg-proxy and its libraries (OpenSSL, rabbitmq-c, glibc's resolver) call once they
/// run. `clone` is apart: threads, but no processes.
constexpr std::array allowed{
    // bytes
    "read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "recvfrom", "sendto",
    "recvmsg", "sendmsg", "recvmmsg", "sendmmsg", "splice", "sendfile", "pipe2",
    // sockets
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "shutdown",
    "getsockname", "getpeername", "getsockopt", "setsockopt", "ioctl",
    // waiting
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2", "timerfd_create",
    "timerfd_settime", "timerfd_gettime", "signalfd4", "poll", "ppoll", "select", "pselect6",
    "nanosleep", "clock_nanosleep", "pause", "restart_syscall",
    // files
    "open", "openat", "close", "stat", "lstat", "fstat", "newfstatat", "statx", "access",
    "faccessat", "faccessat2", "getdents64", "readlink", "readlinkat", "mkdir", "mkdirat", "rename",
    "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "ftruncate", "fallocate", "fsync",
    "fdatasync", "fcntl", "flock", "dup", "dup2", "dup3", "umask", "fchmod", "getcwd", "statfs",
    "fstatfs", "fadvise64",
    // memory
    "mmap", "munmap", "mremap", "mprotect", "madvise", "brk", "membarrier",
    // threads and signals
    "futex", "set_robust_list", "get_robust_list", "rseq", "set_tid_address", "arch_prctl",
    "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_setscheduler", "setpriority",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigsuspend",
    "sigaltstack", "tgkill", "exit", "exit_group",
    // who and when
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo",
    "getcpu", "getrusage", "times", "prlimit64", "getrlimit", "clock_gettime", "clock_getres",
    "gettimeofday", "time", "getrandom"};

std::string last_error() {
  return std::strerror(errno);
}

Result<void> give(const std::filesystem::path& path, const passwd& user) {
  if (::lchown(path.c_str(), user.pw_uid, user.pw_gid) == 0) return ok();
  return Error(ErrorKind::forbidden, fmt::format("setting proxy.user: cannot give {} to {}: {}",
                                                 path.string(), user.pw_name, last_error()));
}

Result<void> give_folder(const std::filesystem::path& folder, const passwd& user) {
  std::error_code ec;
  std::filesystem::create_directories(folder, ec);
  // Where there can be no folder, routes are not saved, which is said when it matters.
  if (!std::filesystem::is_directory(folder, ec)) return ok();
  auto given = give(folder, user);
  for (auto entry = std::filesystem::directory_iterator(folder, ec);
       given && entry != std::filesystem::directory_iterator(); entry.increment(ec))
    given = give(entry->path(), user);
  return given;
}

}  // namespace

Result<void> become_user(const std::string& name, const std::filesystem::path& folder) {
  passwd entry{};
  passwd* user = nullptr;
  std::vector<char> text(16UL * 1024);
  ::getpwnam_r(name.c_str(), &entry, text.data(), text.size(), &user);
  if (user == nullptr)
    return Error(ErrorKind::invalid,
                 fmt::format("setting proxy.user: there is no user \"{}\" on this machine", name));
  if (::geteuid() == user->pw_uid) return ok();
  auto given = give_folder(folder, *user);
  if (!given) return given;
  const bool became = ::initgroups(user->pw_name, user->pw_gid) == 0 &&
                      ::setgid(user->pw_gid) == 0 && ::setuid(user->pw_uid) == 0;
  if (!became)
    return Error(ErrorKind::forbidden,
                 fmt::format("setting proxy.user: cannot become {}: {}", name, last_error()));
  // The change of user has switched this off.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  return ok();
}

Result<void> forbid_other_calls() {
  if (sanitized()) {
    log::warn("all system calls are allowed: this program has sanitizers");
    return ok();
  }
  auto failure = [](int error) {
    return Error(ErrorKind::unavailable,
                 fmt::format("cannot forbid system calls (seccomp): {}; setting proxy.sandbox = "
                             "false does without",
                             std::strerror(-error)));
  };
  // EPERM, not an end: what is missing in the list must not take visitors' requests with it.
  const Handle<void, seccomp_release> filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (!filter) return failure(-ENOMEM);
  int error = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  // On kernels before 5.16, and with spec_store_bypass_disable=seccomp, a filter switches on what
  // guards against Speculative Store Bypass, and every access to memory is slower: that is for
  // processes that run the code of others.
  if (error == 0) error = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_SSB, 1);
  for (const auto* name : allowed) {
    const int number = seccomp_syscall_resolve_name(name);
    // Some are not on each machine.
    if (number < 0) continue;
    if (error == 0) error = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, number, 0);
  }
  const scmp_arg_cmp a_thread{0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD};
  if (error == 0)
    error = seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, &a_thread);
  const scmp_arg_cmp a_name{0, SCMP_CMP_EQ, PR_SET_NAME, 0};
  if (error == 0)
    error = seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, &a_name);
  // Its flags lie in memory, where no filter sees them; without it glibc takes clone.
  if (error == 0)
    error = seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  if (error == 0) error = seccomp_load(filter.get());
  if (error != 0) return failure(error);
  return ok();
}

}  // namespace karreg::proxy
