#pragma once
/// The applications' bare repositories on disk.

#include <map>
#include <string>

#include "api/settings.hpp"
#include "common/error.hpp"

namespace karreg::api::git {

/// The environment of the platform's own git programs: no configuration of the machine or of a
/// user of it changes what they do.
std::map<std::string, std::string> git_environment();

std::string repository_path(const Settings& settings, const std::string& app_id);

bool has_repository(const Settings& settings, const std::string& app_id);
/// Whether the repository holds the commit with this full id. Errors: `invalid` when it is no such
/// id, `not_found` and others when the repository cannot be read.
Result<bool> has_commit(const Settings& settings, const std::string& app_id,
                        const std::string& commit);

/// Makes the bare repository of an app, configured for receiving: our hooks, checked objects, no
/// deletions. One that exists is configured again.
Result<void> create_repository(const Settings& settings, const std::string& app_id);
/// Removes it; an absent one is fine.
Result<void> remove_repository(const Settings& settings, const std::string& app_id);
/// Writes the folder with the hooks that all repositories use (they call this program back). Called
/// at start.
Result<void> install_hooks(const Settings& settings, const std::string& program);

/// Moves @p branch (such as "master") to @p commit, wherever it points. Returns where it pointed
/// (40 zeros: it was absent).
Result<std::string> move_branch(const Settings& settings, const std::string& app_id,
                                const std::string& branch, const std::string& commit);
/// Has git take the history of @p commit as ending where its parents are missing, as git itself
/// does for a push from a shallow clone. Source: gitrepository-layout(5), "shallow".
Result<void> mark_boundary(const Settings& settings, const std::string& app_id,
                           const std::string& commit);
/// Keeps a deployed commit from being collected: refs/karreg/deployments/<number>.
Result<void> keep_commit(const Settings& settings, const std::string& app_id, int number,
                         const std::string& commit);

}  // namespace karreg::api::git
