#include "reverse-proxy/threads.hpp"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

#include "common/log.hpp"

namespace karreg::proxy {

void name_this_thread(const std::string& name) {
  ::prctl(PR_SET_NAME, name.c_str());
}

void step_behind_workers() {
  constexpr int nice = 10;
  const sched_param none{};
  // Of this thread alone, both of them.
  if (::sched_setscheduler(0, SCHED_BATCH, &none) == 0 && ::setpriority(PRIO_PROCESS, 0, nice) == 0)
    return;
  log::warn("what is not for visitors runs at the same priority as what is",
            {log::field("why", std::strerror(errno))});
}

}  // namespace karreg::proxy
