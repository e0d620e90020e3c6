#pragma once

#include "reverse-proxy/settings.hpp"

namespace karreg::proxy {

/// Runs a proxy until SIGTERM or SIGINT, then drains it. Error `unavailable` when an address is
/// taken, `invalid` for an access log that cannot be opened.
Result<void> run_daemon(const Settings& settings);

}  // namespace karreg::proxy
