#pragma once

#include <span>
#include <string>
#include <vector>

namespace karreg::db {

/// @p words as the text of a PostgreSQL array (text[]), for a parameter; any word may stand in it.
std::string array_of(std::span<const std::string> words);
/// The words of a text that array_to_string(..., ' ') made: of an array whose words have no blanks.
std::vector<std::string> words_of(const std::string& text);

}  // namespace karreg::db
