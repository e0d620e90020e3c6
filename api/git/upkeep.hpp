#pragma once
/// What keeps repositories small.
///
/// Every repository: what killed git processes left goes after a day (locks after an hour: they
/// would stop every later push), commits of old deployments are let go, and once there are many
/// loose objects or packs git packs them, one repository at a time, while nothing is being
/// deployed.

#include <chrono>
#include <filesystem>
#include <set>

#include "api/services.hpp"

namespace karreg::api::git {

/// How many deployments of an application keep their commits, besides those that serve or are open.
inline constexpr std::size_t kept_deployments = 50;

/// Removes quarantines and locks that nobody can be using at @p now any more from the repository in
/// @p folder. Returns how many.
int sweep_leftovers(const std::filesystem::path& folder, std::chrono::file_clock::time_point now);

/// Lets go of the commits of deployments, but for the newest kept_deployments and those in @p
/// needed (numbers). Returns how many.
Result<int> forget_old_deployments(const std::filesystem::path& folder,
                                   const std::set<int>& needed);

/// Whether the repository in @p folder never got a push: it has no reference.
Result<bool> is_unused(const std::filesystem::path& folder);

/// Whether packing the repository in @p folder is worth it.
bool wants_packing(const std::filesystem::path& folder);

/// Looks after all repositories now and every few minutes, until cancelled.
awaitable<void> upkeep_for_ever(const Services& services);

}  // namespace karreg::api::git
