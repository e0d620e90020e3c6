#pragma once
/// Files that survive a machine that loses its power.

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string_view>

#include "common/error.hpp"

namespace karreg::proxy {

/// An `unavailable` error that names @p file and says why (errno) we are not @p doing it ("open").
Error file_error(const std::filesystem::path& file, const char* doing);
/// Writes all of @p text, however many calls that takes.
bool write_all(int fd, std::string_view text);
/// Puts a file with @p text in the place of @p file, whole or not at all; when it returns, the disk
/// has it. Error `unavailable` names the file.
Result<void> replace_file(const std::filesystem::path& file, std::string_view text, mode_t mode);
/// The same, for much text: @p tell says it in parts to what it is given, in order.
using Write = std::function<void(std::string_view)>;
Result<void> replace_file(const std::filesystem::path& file, const std::function<void(Write)>& tell,
                          mode_t mode);

}  // namespace karreg::proxy
