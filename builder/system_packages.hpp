#pragma once
/// Packages of Debian that an app asks for: what it needs of the system beside its language. Pure.
///
/// They are said in an Aptfile (one a line, the convention of Heroku's apt buildpack), by
/// CC_SYSTEM_PACKAGES or CC_BUILD_PACKAGES, or in [system] of karreg.toml. Nothing is installed in
/// a VM: every set of packages is an image of its own, made once (images/build add RUNTIME
/// --packages ...) and shared by all apps that ask for the same.

#include <string>
#include <string_view>
#include <vector>

#include "builder/overrides.hpp"
#include "builder/source_tree.hpp"
#include "common/error.hpp"

namespace karreg::builder {

inline constexpr std::size_t max_system_packages = 64;

/// What an app asks for, each list sorted and without doubles.
struct SystemPackages {
  std::vector<std::string> run;      ///< in the image that the app runs on, and in its build image
  std::vector<std::string> build;    ///< in the build image alone
  std::vector<std::string> reasons;  ///< sentences: what, and who said so

  bool empty() const { return run.empty() && build.empty(); }
  /// Does one of those that the app runs with begin so? "python3-"
  bool has_beginning(std::string_view beginning) const;
};

/// Those of @p tree, the folder of the app: CC_SYSTEM_PACKAGES of @p settings in the place of the
/// Aptfile. Error `invalid` is a sentence that names the file and line, or the variable: what is no
/// name of a package, other sources than Debian's (`:repo:`, a .deb), more than
/// max_system_packages.
Result<SystemPackages> system_packages(const SourceTree& tree, const Overrides& settings);

/// Adds @p names, in order and for the build alone, as far as they are not there; @p why for whom.
void add_for_build(SystemPackages& packages, const std::vector<std::string>& names,
                   const std::string& why);

/// The key in the catalogue of @p runtime with @p packages: "python+3f2a9c1d0e5b", the beginning of
/// the SHA-256 of both lists; @p runtime itself when there are none. images/build names them by the
/// same rule.
std::string runtime_with(const std::string& runtime, const SystemPackages& packages);

/// The runtime of the catalogue's recipes that @p key is made from: "python" of
/// "python+3f2a9c1d0e5b".
std::string_view plain_runtime(std::string_view key);

}  // namespace karreg::builder
