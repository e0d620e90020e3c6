#pragma once

#include "images/guest/supervisor.hpp"

namespace karreg::guest {

/// The life of a build VM: unpack the source, run the steps, pack the result onto the output disk.
wire::guest::BuildResult run_build(Supervisor& supervisor, const wire::guest::Config& config);

}  // namespace karreg::guest
