#pragma once

#include <string>
#include <vector>

#include "cli/session.hpp"

namespace karreg::cli {

/// Parses @p arguments (without the program's name), runs the command and gives the exit code.
/// Usage errors are 2; other codes are those of common/error.hpp.
int run(Session& session, const std::vector<std::string>& arguments);

}  // namespace karreg::cli
