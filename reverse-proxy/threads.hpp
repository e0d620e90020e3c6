#pragma once
/// How the threads of the serving process share its processors.

#include <string>

namespace karreg::proxy {

/// What `top -H` calls this thread; of more than 15 bytes the rest is cut.
void name_this_thread(const std::string& name);

/// From now on this thread, and those that it starts, are for what may wait some milliseconds. They
/// do not take a processor from a worker when they wake, leave it soon when that wakes, and where
/// there is none to spare get a tenth of a worker's share (sched(7): SCHED_BATCH, nice 10). For as
/// long as they live: there is no way back without privileges.
void step_behind_workers();

}  // namespace karreg::proxy
