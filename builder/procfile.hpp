#pragma once
/// Procfile: one `name: command` a line. `web` is how the app is started, `release` runs once a
/// deployment, and what begins with `worker` runs beside the app.

#include <map>
#include <string>
#include <string_view>

#include "common/error.hpp"

namespace karreg::builder {

struct ProcfileLine {
  std::string command;
  int number = 0;  ///< of the line, from 1
  bool operator==(const ProcfileLine&) const = default;
};

/// Process name -> its line. Error `invalid` names the line.
Result<std::map<std::string, ProcfileLine>> parse_procfile(std::string_view text);

}  // namespace karreg::builder
