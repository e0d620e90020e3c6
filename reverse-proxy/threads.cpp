#include "reverse-proxy/threads.hpp"

#include <sched.h>
#include <sys/prctl.h>

#include <cerrno>
#include <cstring>

#include "common/log.hpp"

namespace karreg::proxy {

void name_this_thread(const std::string& name) {
  ::prctl(PR_SET_NAME, name.c_str());
}

void step_behind_workers() {
  const sched_param none{};
  // Of this thread alone. Not nice as well: on a machine that has far too much to do the broker
  // would lose sight of us.
  if (::sched_setscheduler(0, SCHED_BATCH, &none) == 0) return;
  log::warn("what is not for visitors runs at the same priority as what is",
            {log::field("why", std::strerror(errno))});
}

}  // namespace karreg::proxy
