#pragma once
/// How the threads of the serving process share its processors.

#include <string>

namespace karreg::proxy {

/// What `top -H` calls this thread; of more than 15 bytes the rest is cut.
void name_this_thread(const std::string& name);

/// From now on this thread, and those that it starts, are for what may wait some milliseconds. They
/// never take a processor from a worker that has something to do, and on a machine that has none to
/// spare they still get a tenth of one (sched(7): SCHED_BATCH, nice 10). For as long as they live:
/// there is no way back without privileges.
void step_behind_workers();

}  // namespace karreg::proxy
