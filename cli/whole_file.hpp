#pragma once
/// Small files, read and replaced whole.

#include <filesystem>
#include <string>
#include <string_view>

#include "common/error.hpp"

namespace karreg::cli {

/// Error names the file.
Result<std::string> read_whole(const std::filesystem::path& file);
/// What is wrong when @p file cannot be written for the reason @p code (errno): `invalid` with the
/// way out when it is the place's fault, else `internal`.
Error write_error(const std::filesystem::path& file, int code);
/// Replaces @p file in one step; @p mode as of chmod. Errors as of write_error().
Result<void> write_whole(const std::filesystem::path& file, std::string_view text, unsigned mode);

}  // namespace karreg::cli
