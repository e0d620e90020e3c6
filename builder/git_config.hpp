#pragma once
/// Reads git's configuration files from memory, which libgit2 cannot: `.gitmodules` is one.
/// Source: git-config(1), "Configuration file", Syntax.

#include <string>
#include <string_view>
#include <vector>

#include "common/error.hpp"

namespace karreg::builder {

/// `[section "subsection"]` and a line `key = value` below it.
struct GitConfigEntry {
  std::string section;     ///< in lower case
  std::string subsection;  ///< as it is written, without quotes; empty: none
  std::string key;         ///< in lower case
  std::string value;       ///< without quotes and comments; "true" for a key alone
  int line = 0;            ///< of the key, from 1
};

/// The entries in their order; nothing is included from other files. Error `invalid`: "line N: "
/// and what is wrong there. The old form `[section.subsection]` is a section of that name.
Result<std::vector<GitConfigEntry>> parse_git_config(std::string_view text);

}  // namespace karreg::builder
