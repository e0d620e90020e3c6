#pragma once
/// Environment variables as people write them: `.env` files and NAME=VALUE words.

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "common/error.hpp"

namespace karreg::cli {

/// Letters, digits and '_', not beginning with a digit.
bool is_variable_name(std::string_view name);

/// "NAME=VALUE". Error `invalid` when it is not.
Result<std::pair<std::string, std::string>> parse_assignment(std::string_view word);

/// A `.env` file: NAME=VALUE a line, `export ` before it allowed, `#` comments, values in single
/// quotes literal, in double quotes with \n \t \" \\ \$ escapes and line breaks. The last of equal
/// names wins. Error `invalid` names the line.
Result<std::map<std::string, std::string>> parse_env_file(std::string_view text);

/// A JSON object of texts, or the array [{"name":..., "value":...}]. Error `invalid` otherwise.
Result<std::map<std::string, std::string>> parse_env_json(std::string_view text);

/// One line that parse_env_file() reads back.
std::string env_line(std::string_view name, std::string_view value);

}  // namespace karreg::cli
