#pragma once
/// Git submodules: what a build fetches of other repositories before its first step. Pure.
///
/// The commits are those that the tree names, the URLs those of .gitmodules. The build VM fetches
/// them (submodule_step.*), so that what is planned is planned without their files.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/overrides.hpp"
#include "builder/source_tree.hpp"
#include "common/error.hpp"
#include "common/wire/guest.hpp"

namespace karreg::builder {

/// What the submodules of an app add to its plan.
struct Submodules {
  std::optional<wire::guest::BuildStep> step;  ///< before all others
  std::vector<std::string> reasons;            ///< sentences: what is fetched, what is not
  std::string problem;                         ///< as that of a plan
  std::vector<std::string> packages = {};      ///< of Debian, that the step needs
};

/// Those of @p whole, a tree of the repository's root, below @p folder, the app.
/// CC_GIT_CREDENTIALS, CC_SSH_PRIVATE_KEY, CC_SSH_KNOWN_HOSTS and CC_DISABLE_GIT_SUBMODULES are
/// read from @p settings. Error `invalid`: what cannot be, by the submodule's path, with the way
/// out; or what reading the tree returned.
Result<Submodules> submodules_of(const SourceTree& whole, const std::string& folder,
                                 const Overrides& settings);

/// The submodule of @p whole that @p path is or lies in.
std::optional<std::string> submodule_at(const SourceTree& whole, std::string_view path);

}  // namespace karreg::builder
