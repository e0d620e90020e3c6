#include "reverse-proxy/saved_routes.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "common/wire/json.hpp"

namespace karreg::proxy {

namespace {
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
}  // namespace

Result<void> save_routes(const std::filesystem::path& file, const RouteTable& table) {
  std::error_code ec;
  std::filesystem::create_directories(file.parent_path(), ec);
  auto fresh = file;
  fresh += ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return file_error(fresh, "open");
  const bool written = write_all(fd, wire::to_text(table.snapshot())) && ::fsync(fd) == 0;
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

Result<RouteTable> load_routes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return Error(ErrorKind::not_found, "there is no " + file.string());
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  auto snapshot = wire::from_text<wire::RouteSnapshot>(text, file.string());
  if (!snapshot) return snapshot.error();
  auto table = RouteTable::from(*snapshot);
  if (!table) return table.error().within(file.string());
  return table;
}

}  // namespace karreg::proxy
