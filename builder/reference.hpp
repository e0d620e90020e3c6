#pragma once
/// The parts of docs/ that are made from the tables of the inspector, so that they cannot drift:
/// `karreg-builder reference DOCS` writes them, a test compares.
///
/// A part stands between `<!-- name -->` and `<!-- /name -->`:
///     keys       in karreg-toml.md: keys, variables, meanings
///     table      in languages/README.md: the languages in their order
///     plan       in languages/NAME.md: what `explain` says of the files shown above it in the
///     page,
///                that is, of its code blocks with a file name ("```js server.js")
///     variables  in languages/NAME.md: the variables and the versions of the language

#include <filesystem>
#include <string>

#include "common/error.hpp"

namespace karreg::builder {

/// @p page, a file of docs/ by its relative path, with every part made anew. Error `invalid`: a
/// mark without its end, or a plan that was refused.
Result<std::string> with_reference(const std::string& path, const std::string& page);

/// Rewrites the pages of the folder @p docs; gives how many changed.
Result<int> write_reference(const std::filesystem::path& docs);

}  // namespace karreg::builder
