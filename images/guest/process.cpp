#include "images/guest/process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "images/guest/system.hpp"

namespace karreg::guest {

namespace {
/// Files that a server may hold open: the kernel's own limit (1024, 4096) is for desktops of 1990.
constexpr rlimit open_files{65'536, 524'288};
/// A session that forks faster than it is killed does not hold up PID 1 for ever.
constexpr int most_rounds = 100;
/// Users of a namespace, of whom the first is the child's own; and who the others are outside.
constexpr unsigned own_users = 65'536;
constexpr unsigned first_own_user = 100'000;

/// The form that exec takes; valid as long as @p words.
std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  result.reserve(words.size() + 1);
  for (auto& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

/// The two ends of how a child and PID 1 wait for each other.
struct Meeting {
  int child[2];   ///< the child says that it has its namespace
  int parent[2];  ///< PID 1 says that its users are there
};

void write_users(pid_t pid, const User& user) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/";
  for (const auto& [file, id] : {std::pair{"uid_map", user.uid}, {"gid_map", user.gid}}) {
    const std::string map = "0 " + std::to_string(id) + " 1\n1 " + std::to_string(first_own_user) +
                            " " + std::to_string(own_users - 1) + "\n";
    const int fd = ::open((folder + file).c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    // In one write; the child sees whether it worked.
    static_cast<void>(!::write(fd, map.data(), map.size()));
    ::close(fd);
  }
}

/// Makes this process root of a user namespace of its own. Only who is outside may give it more
/// than one user, so PID 1 does.
void enter_namespace(const Meeting& meeting) {
  char word = 0;
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || ::write(meeting.child[1], "x", 1) != 1 ||
      ::read(meeting.parent[0], &word, 1) != 1 || ::getuid() != 0 || ::getgid() != 0) {
    ::dprintf(STDERR_FILENO, "no users of its own: %s\n", std::strerror(errno));
    ::_exit(126);
  }
}

[[noreturn]] void become(const Child& child, int out, int err, const Meeting& meeting) {
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
    const User& user = child.user;
    if (::fchown(out, user.uid, user.gid) != 0 || ::fchown(err, user.uid, user.gid) != 0)
      ::_exit(126);
    if (child.max_processes > 0) {
      const rlimit limit{static_cast<rlim_t>(child.max_processes),
                         static_cast<rlim_t>(child.max_processes)};
      ::setrlimit(RLIMIT_NPROC, &limit);
    }
    std::vector<gid_t> groups(user.groups.begin(), user.groups.end());
    groups.push_back(user.gid);
    if (::setgroups(groups.size(), groups.data()) != 0 || ::setgid(user.gid) != 0 ||
        ::setuid(user.uid) != 0)
      ::_exit(126);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (child.own_users) enter_namespace(meeting);
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

/// Processes of the session of @p leader that still run.
std::set<pid_t> session_of(pid_t leader) {
  std::set<pid_t> members;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec != std::errc{} || parsed.ptr != name.data() + name.size()) continue;
    // proc_pid_stat(5): after the name, which may hold anything: state, parent, group, session.
    const std::string stat = read_file(entry.path() / "stat");
    const auto after_name = stat.rfind(')');
    char state = 0;
    int session = 0;
    if (after_name == std::string::npos ||
        std::sscanf(stat.c_str() + after_name + 1, " %c %*d %*d %d", &state, &session) != 2)
      continue;
    if (session == leader && state != 'Z' && state != 'X') members.insert(pid);
  }
  return members;
}
}  // namespace

std::string Ended::sentence() const {
  if (oom) return "was killed: the VM ran out of memory";
  if (signal != 0)
    return "was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
  return "exited with " + std::to_string(exit_code);
}

Ended ended_with(int status) {
  Ended ended;
  ended.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  ended.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return ended;
}

Started start(const Child& child) {
  if (child.argv.empty()) throw std::runtime_error("there is no command to run");
  int out[2];
  int err[2];
  if (::pipe2(out, O_CLOEXEC) != 0) fail("pipe");
  if (::pipe2(err, O_CLOEXEC) != 0) {
    for (const int end : out) ::close(end);
    fail("pipe");
  }
  ::fcntl(out[0], F_SETFL, O_NONBLOCK);
  ::fcntl(err[0], F_SETFL, O_NONBLOCK);
  Meeting meeting{{-1, -1}, {-1, -1}};
  if (child.own_users &&
      (::pipe2(meeting.child, O_CLOEXEC) != 0 || ::pipe2(meeting.parent, O_CLOEXEC) != 0))
    fail("pipe");
  const pid_t pid = ::fork();
  if (pid == 0) {
    // Else it would wait for itself when PID 1 is gone.
    for (const int end : {meeting.child[0], meeting.parent[1]})
      if (end >= 0) ::close(end);
    become(child, out[1], err[1], meeting);
  }
  const int reason = errno;
  if (child.own_users) {
    ::close(meeting.child[1]);
    ::close(meeting.parent[0]);
    char word = 0;
    if (pid > 0 && ::read(meeting.child[0], &word, 1) == 1) {
      write_users(pid, child.user);
      static_cast<void>(!::write(meeting.parent[1], "x", 1));
    }
    ::close(meeting.child[0]);
    ::close(meeting.parent[1]);
  }
  ::close(out[1]);
  ::close(err[1]);
  if (pid > 0) return {pid, out[0], err[0]};
  ::close(out[0]);
  ::close(err[0]);
  errno = reason;
  fail("fork");
}

void signal_group(pid_t leader, int signal) {
  if (::kill(-leader, signal) != 0) ::kill(leader, signal);
}

bool group_is_gone(pid_t leader) {
  return ::kill(-leader, 0) != 0 && errno == ESRCH;
}

void kill_session(pid_t leader) {
  // Who has been sent SIGKILL forks no more: when a round meets nobody new, nobody is left.
  std::set<pid_t> killed;
  for (int round = 0; round < most_rounds; ++round) {
    bool met = false;
    for (const pid_t pid : session_of(leader)) {
      met = killed.insert(pid).second || met;
      ::kill(pid, SIGKILL);
    }
    if (!met) return;
  }
}

}  // namespace karreg::guest
