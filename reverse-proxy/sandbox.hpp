#pragma once
/// What a serving process may do: it reads what anybody sends, so a fault in it must not be a fault
/// of the machine.

#include <filesystem>
#include <string>

#include "common/error.hpp"

namespace karreg::proxy {

/// Becomes @p user, with its groups and no others, for good; @p folder and the files in it are made
/// its own. Before the first thread is started. Errors: `invalid`, there is no such user;
/// `forbidden`, this process may not (it is not root's).
Result<void> become_user(const std::string& user, const std::filesystem::path& folder);

/// From now on all threads get EPERM for system calls that a proxy does not need (seccomp(2)):
/// no programs, no processes, no privileges, no kernel interfaces beyond files, sockets and
/// threads. Holds for what becomes of the process, too. Error `unavailable` when the kernel has no
/// seccomp. Does nothing under sanitizers, which need more.
Result<void> forbid_other_calls();

}  // namespace karreg::proxy
