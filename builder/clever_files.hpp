#pragma once
/// clevercloud/*.json: what repositories that ran on Clever Cloud say about their build, as the
/// variables that mean the same.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "builder/overrides.hpp"
#include "builder/processes.hpp"
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

/// clevercloud/cron.json of @p tree: a list of "minute hour day month weekday command"; nothing
/// when there is no such file. Error `invalid` names the entry, from 1.
Result<std::optional<std::vector<SaidCron>>> read_clever_cron(const SourceTree& tree);

/// All of them in @p tree. Lists become text with commas. Error `invalid` for a file that is not
/// JSON or a value that is neither text, number nor a list of texts.
Result<std::map<std::string, Given>> read_clever_files(const SourceTree& tree);

}  // namespace karreg::builder
