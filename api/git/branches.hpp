#pragma once
/// Where the branches that deploy go.
///
/// The platform moves them itself, not git: two pushes that overlap both began where the branch was
/// then, and git would let only the first of them move it. A branch is at the newest deployment
/// that has moved it, whichever ends last; an older one never moves it back.

#include <optional>
#include <string>

#include "api/services.hpp"
#include "api/stores/open_pushes_store.hpp"

namespace karreg::api::git {

/// Moves the branch of @p push to its commit unless a newer deployment has moved it. Returns where
/// it was (40 zeros: absent), or nothing when a newer one has. Blocks.
Result<std::optional<std::string>> move_branch_for(const Services& services, const OpenPush& push);

}  // namespace karreg::api::git
