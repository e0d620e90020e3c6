#pragma once
/// How the threads of the serving process share its processors.

#include <string>

namespace karreg::proxy {

/// What `top -H` calls this thread; of more than 15 bytes the rest is cut.
void name_this_thread(const std::string& name);

/// From now on this thread, and those that it starts, are for what may wait some milliseconds. They
/// do not take a processor from a worker when they wake, and get their share of it when that pauses
/// or has had its own (sched(7): SCHED_BATCH).
void step_behind_workers();

}  // namespace karreg::proxy
