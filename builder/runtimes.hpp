#pragma once
/// The runtimes that this release of Karreg knows how to make, and which of them a version asks
/// for. They are the files images/runtimes/*.json, read when the builder is compiled: `explain`
/// says the same on a laptop as on the platform.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/version_range.hpp"
#include "common/error.hpp"

namespace karreg::builder {

/// One line of versions of a language: "node-22" is Node.js 22.
struct RuntimeVersion {
  std::string runtime;  ///< key of the image catalogue
  std::string version;  ///< "22", "3.13"; empty where there is nothing to choose
  bool usual = false;   ///< what is taken when nobody asks
};

/// Those of @p language, the newest first; empty: there is no image of it.
const std::vector<RuntimeVersion>& runtimes_of(std::string_view language);

/// Who asked for which version, and how: {">=18", "engines.node of package.json"}.
struct VersionWish {
  std::string range;
  std::string origin;
  Tilde tilde = Tilde::next_minor;
};

/// The usual version if @p wish allows it, else the newest that it allows. Error `invalid`: none is
/// allowed, or the wish is no range; the message names those that there are, and @p variable, which
/// chooses one. Error `not_found`: there is no image of @p language.
Result<RuntimeVersion> choose_runtime(std::string_view language, std::string_view title,
                                      const std::optional<VersionWish>& wish,
                                      std::string_view variable);

}  // namespace karreg::builder
