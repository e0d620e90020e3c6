#pragma once
/// Rules as people write them: JSON, TOML, and single fields by name. Pure.

#include <string>
#include <string_view>

#include "common/error.hpp"
#include "common/json.hpp"

namespace karreg::cli {

/// @p text as JSON, or as TOML when it does not begin with '{'. Error `invalid` with the place.
Result<nlohmann::json> parse_rules(std::string_view text);

/// Applies "maintenance.on=true" to @p rules: objects on the way are made, the value is JSON or, if
/// it is none, a text; an empty one takes the field away. A part of the name in double quotes may
/// have dots: error_pages."503"=... Error `invalid`.
Result<void> edit_rules(nlohmann::json& rules, std::string_view assignment);

/// A bcrypt hash of @p password with a fresh salt. Error `invalid` for one that is empty, longer
/// than the 72 bytes that bcrypt looks at, or has a NUL.
Result<std::string> hash_password(const std::string& password);

}  // namespace karreg::cli
