#pragma once

#include <string_view>

#include "reverse-proxy/answers.hpp"

namespace karreg::proxy::rules {

/// What a rule says in place of the application.
struct Verdict {
  Answer answer;
  std::string_view rule;         ///< for the access log: "rule: addresses"
  bool ends_connection = false;  ///< what is wrong is the connection's, and would be again
};

}  // namespace karreg::proxy::rules
