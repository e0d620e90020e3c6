#pragma once
/// All that the files of a tree and its owner say beside the source, read and put into order.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "builder/language.hpp"
#include "builder/overrides.hpp"
#include "builder/processes.hpp"
#include "builder/source_tree.hpp"
#include "common/error.hpp"

namespace karreg::builder {

/// What the tree and the owner say, strongest first, and the folder that is the app.
struct Said {
  Overrides settings;
  std::string folder;
  std::string type;  ///< of karreg.toml; may be empty
  std::map<std::string, std::string> env;
  std::optional<SaidBy<SaidWorker>> workers;  ///< of the strongest source that has some
  std::optional<SaidBy<SaidCron>> cron;
  std::vector<std::string> notes;  ///< sentences about what is not done
};

/// Reads karreg.toml, clevercloud/*.json and the Procfile of @p whole, a tree of the repository's
/// root. Error `invalid` is a sentence that names the file or the variable.
Result<Said> what_is_said(const SourceTree& whole, const AppSettings& settings);

}  // namespace karreg::builder
