#pragma once
/// What to build. A pure function from a tree and the owner's settings to a plan; languages/ holds
/// the rules of each language.
///
/// The owner's type wins; without one ("auto") the first language of the table that recognises the
/// tree. The language gives tool, steps and start command. The owner overrides: CC_RUN_COMMAND,
/// then a Procfile's `web:` line, replace the start; CC_BUILD_COMMAND replaces or adds the build
/// step; CC_PRE_BUILD_HOOK and CC_POST_BUILD_HOOK stand around the steps; CC_PRE_RUN_HOOK runs on
/// every instance before the app; APP_FOLDER names the subfolder that is the app.

#include "builder/language.hpp"
#include "builder/source_tree.hpp"
#include "common/error.hpp"
#include "common/wire/plan.hpp"

namespace karreg::builder {

/// The plan for @p whole, a tree of the repository's root. Error `invalid` is a sentence for the
/// pusher: what was looked for, what was seen, and the way out.
Result<wire::BuildPlan> inspect(const SourceTree& whole, const AppSettings& settings);

/// APP_FOLDER as a clean relative path, "" for the root. Error `invalid` when it leaves the tree.
Result<std::string> app_folder(const AppSettings& settings);

}  // namespace karreg::builder
