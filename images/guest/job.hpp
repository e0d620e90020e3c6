#pragma once

#include "images/guest/supervisor.hpp"

namespace karreg::guest {

/// The life of a job VM: one command to its end, or to that of its time. Returns what to tell the
/// agent; one whose time was over never counts as good, also when it ended with 0 at SIGTERM.
wire::guest::Exit run_job(Supervisor& supervisor, const wire::guest::Config& config);

}  // namespace karreg::guest
