#pragma once

#include "api/git/orphans.hpp"
#include "api/presence.hpp"
#include "api/services.hpp"

namespace karreg::api {

/// Removes what deleted apps left (repository, cache, log stream, rows), once nothing of them runs
/// any more. One round; errors are logged and tried again later.
void sweep_deleted_apps(const Services& services);

/// Every few seconds until cancelled: sweep_deleted_apps, this process shown to be alive, and the
/// pushes of those that are not adopted.
awaitable<void> sweep_for_ever(const Services& services, Presence& presence, git::Orphans& orphans);

}  // namespace karreg::api
