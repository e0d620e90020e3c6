#include "reverse-proxy/durable_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

namespace karreg::proxy {

namespace {
/// What is written in one go.
constexpr std::size_t block_bytes = 64UL * 1024;
}  // namespace

Error file_error(const std::filesystem::path& file, const char* doing) {
  return Error(ErrorKind::unavailable,
               std::string("cannot ") + doing + " " + file.string() + ": " + std::strerror(errno));
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

Result<void> replace_file(const std::filesystem::path& file, std::string_view text, mode_t mode) {
  return replace_file(file, [text](const Write& write) { write(text); }, mode);
}

Result<void> replace_file(const std::filesystem::path& file, const std::function<void(Write)>& tell,
                          mode_t mode) {
  auto fresh = file;
  fresh += ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return file_error(fresh, "open");
  bool written = true;
  std::string block;
  tell([&](std::string_view part) {
    block += part;
    if (block.size() < block_bytes) return;
    written = written && write_all(fd, block);
    block.clear();
  });
  written = written && write_all(fd, block) && ::fsync(fd) == 0;
  const auto failure = written ? std::optional<Error>() : file_error(fresh, "write");
  ::close(fd);
  if (failure) return *failure;
  if (::rename(fresh.c_str(), file.c_str()) != 0) return file_error(file, "replace");
  // The new name, too, must outlive a machine that loses its power.
  const auto folder = file.parent_path();
  const int dir = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool kept = dir >= 0 && ::fsync(dir) == 0;
  const auto not_kept = kept ? std::optional<Error>() : file_error(folder, "sync");
  if (dir >= 0) ::close(dir);
  if (not_kept) return *not_kept;
  return ok();
}

}  // namespace karreg::proxy
