#pragma once
/// The step of a build VM that fetches submodules.

#include <string>
#include <string_view>
#include <vector>

#include "builder/submodule_url.hpp"
#include "common/wire/guest.hpp"

namespace karreg::builder {

/// One to fetch.
struct Submodule {
  std::string path;    ///< in the app's folder, in which the step runs
  std::string commit;  ///< full id
  SubmoduleUrl url;
  bool by_ssh = false;  ///< else by HTTP
};

/// Public keys of well-known hosts, lines of known_hosts (sshd(8)).
extern const std::string_view known_ssh_hosts;

/// The step `submodules` for @p all: each at exactly its commit, with those of its own, without
/// history and without a .git. For bash with -e and -o pipefail; access to what is private comes
/// from the variables CC_GIT_CREDENTIALS, CC_SSH_PRIVATE_KEY and CC_SSH_KNOWN_HOSTS when it runs.
wire::guest::BuildStep submodule_step(const std::vector<Submodule>& all);

}  // namespace karreg::builder
