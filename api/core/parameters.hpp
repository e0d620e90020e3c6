#pragma once
/// Parameters of queries: "?limit=20".

#include <cstdint>
#include <string>
#include <string_view>

#include "common/error.hpp"

namespace karreg::api {

/// @p text, the parameter @p name, as a whole number from @p least to @p most. Error `invalid` says
/// what it must be.
Result<std::int64_t> number_parameter(std::string_view name, std::string_view text,
                                      std::int64_t least, std::int64_t most);

}  // namespace karreg::api
