#include "cli/whole_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

namespace karreg::cli {

Result<std::string> read_whole(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad())
    return Error(ErrorKind::invalid, file.string() + " cannot be read.");
  return text;
}

Error write_error(const std::filesystem::path& file, int code) {
  const std::string what =
      file.string() + " cannot be written: " + std::generic_category().message(code) + ".";
  switch (code) {
    case EACCES:
    case EPERM:
    case EROFS:
      return {ErrorKind::invalid, what + " Choose a folder that you may write to."};
    case ENOSPC:
    case EDQUOT:
      return {ErrorKind::invalid, what + " Make room there."};
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
      return {ErrorKind::invalid, what + " Put right what stands in its place."};
    default:
      return {ErrorKind::internal, what};
  }
}

Result<void> write_whole(const std::filesystem::path& file, std::string_view text, unsigned mode) {
  const std::string growing = file.string() + "." + std::to_string(::getpid());
  const auto failed = [&](int code) {
    ::unlink(growing.c_str());
    return write_error(file, code);
  };
  const int fd = ::open(growing.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return failed(errno);
  ssize_t written = 0;
  while (!text.empty() && (written = ::write(fd, text.data(), text.size())) > 0)
    text.remove_prefix(static_cast<std::size_t>(written));
  const int code = errno;
  ::close(fd);
  if (!text.empty()) return failed(code);
  if (::rename(growing.c_str(), file.c_str()) != 0) return failed(errno);
  return ok();
}

}  // namespace karreg::cli
