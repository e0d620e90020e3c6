#pragma once

#include "reverse-proxy/master/inheritance.hpp"
#include "reverse-proxy/settings.hpp"

namespace karreg::proxy {

/// Runs a serving process: sets everything up, serves when the master says so, until it is told to
/// leave, or by SIGTERM or SIGINT to drain, or the master is gone. It has given away what it does
/// not need (sandbox.hpp) before it reads anything from outside. Errors: `invalid` for an access
/// log that cannot be opened, or for descriptors that are not what they should be; those of
/// sandbox.hpp.
Result<void> run_daemon(const Settings& settings, const Inheritance& inheritance);

}  // namespace karreg::proxy
