#include "hypervisor-agent/reaper.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

namespace karreg::agent {

namespace {
using namespace std::chrono_literals;

/// Whether a dead child was a daemon, which nobody waits for: one of the programs that go to the
/// background, in a session that is not ours. Direct children stay in our session, and whoever
/// started them waits for them.
bool is_daemon(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const auto open = line.find('(');
  const auto close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return false;
  const std::string name = line.substr(open + 1, close - open - 1);
  std::istringstream rest(line.substr(close + 1));
  char state = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  rest >> state >> parent >> group >> session;
  return rest && session != ::getsid(0) &&
         (name.starts_with("qemu-system") || name.starts_with("passt") ||
          name.starts_with("karreg-egress"));
}

[[noreturn]] void reap_for_ever() {
  for (;;) {
    siginfo_t info{};
    // Only a look: a child that is not ours to reap stays for the one who waits for it.
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) != 0) {
      std::this_thread::sleep_for(50ms);  // no children now
      continue;
    }
    if (is_daemon(info.si_pid))
      ::waitpid(info.si_pid, nullptr, WNOHANG);
    else
      std::this_thread::sleep_for(5ms);
  }
}
}  // namespace

void start_reaper() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::thread(reap_for_ever).detach();
  });
}

}  // namespace karreg::agent
