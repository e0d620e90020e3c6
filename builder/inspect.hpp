#pragma once
/// What to build. A pure function from a tree and the owner's settings to a plan; languages/ holds
/// the rules of each language.
///
/// The owner's type wins; without one ("auto") the language with the strongest evidence
/// (language.hpp). The language gives tool, steps and start command. People override, weakest
/// first: the Procfile, karreg.toml, clevercloud/*.json, the app's environment (overrides.hpp).

#include "builder/language.hpp"
#include "builder/source_tree.hpp"
#include "common/error.hpp"
#include "common/wire/plan.hpp"

namespace karreg::builder {

/// The plan for @p whole, a tree of the repository's root. A plan with a `problem` is understood
/// but cannot be built here. Error `invalid` is a sentence for the pusher: what was looked for,
/// what was seen, and the way out.
Result<wire::BuildPlan> inspect(const SourceTree& whole, const AppSettings& settings);

}  // namespace karreg::builder
