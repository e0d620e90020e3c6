#pragma once
/// Command lines of people, for /bin/sh.

#include <string>
#include <string_view>
#include <vector>

#include "common/text.hpp"

namespace karreg::builder {

using text::shell_quote;

/// argv that runs @p line under /bin/sh. A single simple command replaces the shell, so that it
/// gets the signals itself.
std::vector<std::string> shell_argv(std::string_view line);

/// @p text without blanks at both ends.
std::string trimmed(std::string_view text);

}  // namespace karreg::builder
