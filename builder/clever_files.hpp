#pragma once
/// clevercloud/*.json: what repositories that ran on Clever Cloud say about their build, as the
/// variables that mean the same.

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "builder/overrides.hpp"
#include "builder/source_tree.hpp"
#include "common/error.hpp"

namespace karreg::builder {

/// A value of one of these files and the variable it stands for.
struct CleverKey {
  std::string_view file;      ///< below clevercloud/
  std::string_view path;      ///< "deploy.goal"
  std::string_view variable;  ///< "MAVEN_DEPLOY_GOAL"
};
std::span<const CleverKey> clever_keys();

/// All of them in @p tree. Lists become text with commas. Error `invalid` for a file that is not
/// JSON or a value that is neither text, number nor a list of texts.
Result<std::map<std::string, Given>> read_clever_files(const SourceTree& tree);

}  // namespace karreg::builder
