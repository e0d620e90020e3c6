#pragma once
/// node_modules from one build to the next of an app with the same dependencies.

#include <string>

#include "builder/languages/node/package.hpp"

namespace karreg::builder::node {

/// @p install (`npm ci ...`), which keeps what it installs in the app's cache and takes it from
/// there when nothing that decides over it has changed: package.json, @p lock_file, .npmrc, the
/// versions of Node.js and npm, the environment, the command. Scripts of dependencies that run at
/// an install run again (`npm rebuild`): they may read files of the app. For an app whose own
/// package.json has such scripts, or that has workspaces, @p install as it is.
std::string keeping_modules(const Package& package, const std::string& lock_file,
                            const std::string& install);

}  // namespace karreg::builder::node
