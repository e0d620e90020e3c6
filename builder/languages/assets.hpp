#pragma once
/// Style sheets and scripts that a package.json makes for an app in another language.

#include <string>

#include "builder/language.hpp"

namespace karreg::builder {

/// Adds the step `assets` to @p plan when package.json has a script `build`: dependencies, the
/// script, and node_modules is gone again. The build image must have Node.js and npm. Error
/// `invalid` for a package.json that cannot be read.
Result<void> add_assets(LanguagePlan& plan, const Inspection& about);

/// @p command, a step that calls the package manager of package.json itself, with that manager in
/// its PATH and without node_modules after it. As it is when there is no package.json; else the
/// same errors.
Result<std::string> with_node_tools(const Inspection& about, const std::string& command);

/// Lines that install what the package.json in @p folder lists, development dependencies too; empty
/// when there is none there. The same errors.
Result<std::string> node_install(const Inspection& about, const std::string& folder);

}  // namespace karreg::builder
