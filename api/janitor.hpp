#pragma once

#include "api/services.hpp"

namespace karreg::api {

/// Removes what deleted apps left (repository, cache, log stream, rows), once nothing of them runs
/// any more. One round; errors are logged and tried again later.
void sweep_deleted_apps(const Services& services);

/// Runs sweep_deleted_apps every few seconds until cancelled.
awaitable<void> sweep_for_ever(const Services& services);

}  // namespace karreg::api
