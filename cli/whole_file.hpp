#pragma once
/// Small files, read and replaced whole.

#include <filesystem>
#include <string>
#include <string_view>

#include "common/error.hpp"

namespace karreg::cli {

/// Error names the file.
Result<std::string> read_whole(const std::filesystem::path& file);
/// Replaces @p file in one step; @p mode as of chmod.
Result<void> write_whole(const std::filesystem::path& file, std::string_view text, unsigned mode);

}  // namespace karreg::cli
