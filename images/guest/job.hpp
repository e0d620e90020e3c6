#pragma once

#include "images/guest/supervisor.hpp"

namespace karreg::guest {

/// The life of a job VM: one command, to its end or to its time limit. Returns what to tell the
/// agent.
wire::guest::Exit run_job(Supervisor& supervisor, const wire::guest::Config& config);

}  // namespace karreg::guest
