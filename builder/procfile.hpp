#pragma once
/// Procfile: one `name: command` a line. `web` is how the app is started.

#include <map>
#include <string>
#include <string_view>

#include "common/error.hpp"

namespace karreg::builder {

/// Process name -> command. Error `invalid` names the line.
Result<std::map<std::string, std::string>> parse_procfile(std::string_view text);

}  // namespace karreg::builder
