#pragma once

#include <filesystem>

#include "common/error.hpp"
#include "reverse-proxy/route_table.hpp"

namespace karreg::proxy {

/// Writes @p table so that a crash at any moment leaves the old or the new file. Error
/// `unavailable` names the file.
Result<void> save_routes(const std::filesystem::path& file, const RouteTable& table);
/// Error `not_found`: there is none yet; `invalid`: what is there is no table.
Result<RouteTable> load_routes(const std::filesystem::path& file);

}  // namespace karreg::proxy
