#include "builder/files.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "common/crypto/digest.hpp"
#include "common/ids.hpp"

namespace karreg::builder {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t piece_bytes = std::size_t{1} << 20;

Error system_error(const std::string& doing, const fs::path& path) {
  const int code = errno;
  return {code == ENOENT ? ErrorKind::not_found : ErrorKind::internal,
          doing + " " + path.string() + ": " + std::generic_category().message(code)};
}

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

Result<void> write_all(int fd, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("writing", path);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return ok();
}

Result<void> copy_data(int from, int to, const fs::path& from_path, const fs::path& to_path) {
  struct stat status{};
  if (::fstat(from, &status) != 0) return system_error("reading", from_path);
  std::string piece(piece_bytes, '\0');
  for (off_t at = 0; at < status.st_size;) {
    const off_t data = ::lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // only a hole is left
    if (data < 0) return system_error("reading", from_path);
    const off_t end = ::lseek(from, data, SEEK_HOLE);
    if (end < 0) return system_error("reading", from_path);
    if (::lseek(to, data, SEEK_SET) < 0) return system_error("writing", to_path);
    for (at = data; at < end;) {
      const auto want = std::min<std::size_t>(piece.size(), static_cast<std::size_t>(end - at));
      const ssize_t n = ::pread(from, piece.data(), want, at);
      if (n <= 0) return system_error("reading", from_path);
      if (auto done = write_all(to, {piece.data(), static_cast<std::size_t>(n)}, to_path); !done)
        return done.error();
      at += n;
    }
  }
  if (::ftruncate(to, status.st_size) != 0) return system_error("writing", to_path);
  return ok();
}

}  // namespace

Result<FileWriter> FileWriter::create(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return system_error("creating", path);
  return FileWriter(fd, path);
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      buffer_(std::move(other.buffer_)) {}

FileWriter::~FileWriter() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> FileWriter::flush() {
  const std::string pending = std::exchange(buffer_, {});
  return write_all(fd_, pending, path_);
}

Result<void> FileWriter::write(std::string_view bytes) {
  if (bytes.size() < piece_bytes) {
    buffer_.append(bytes);
    return buffer_.size() < piece_bytes ? ok() : flush();
  }
  if (auto done = flush(); !done) return done.error();
  return write_all(fd_, bytes, path_);  // as large as the buffer: a copy gains nothing
}

Result<void> FileWriter::resize(std::int64_t bytes) {
  if (auto done = flush(); !done) return done.error();
  if (::ftruncate(fd_, bytes) != 0) return system_error("resizing", path_);
  return ok();
}

Result<void> FileWriter::sync() {
  if (auto done = flush(); !done) return done.error();
  if (::fsync(fd_) != 0) return system_error("writing", path_);
  return ok();
}

Result<void> sync_folder(const fs::path& folder) {
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return system_error("writing", folder);
  return ok();
}

Result<void> publish_folder(const fs::path& fresh, const fs::path& name, const fs::path& aside) {
  struct stat status{};
  if (::lstat(fresh.c_str(), &status) != 0 && errno == ENOENT) return ok();
  if (::rename(name.c_str(), aside.c_str()) != 0 && errno != ENOENT)
    return system_error("putting aside", name);
  if (::rename(fresh.c_str(), name.c_str()) != 0) return system_error("naming", name);
  return sync_folder(name.parent_path());
}

Result<void> copy_template(const fs::path& from, const fs::path& to, Existing existing) {
  struct stat status{};
  if (existing == Existing::keep && ::lstat(to.c_str(), &status) == 0) return ok();
  const Descriptor source(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!source) return system_error("opening", from);

  // Under a name of its own until it is whole, so that two builders cannot meet in it.
  const fs::path growing = to.string() + "." + ids::uuid();
  const Descriptor target(::open(growing.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!target) return system_error("creating", growing);
  Result<void> done = ok();
  if (::ioctl(target.get(), FICLONE, source.get()) != 0)
    done = copy_data(source.get(), target.get(), from, growing);
  if (done && ::fsync(target.get()) != 0) done = system_error("writing", growing);
  // Whoever has the replaced one open goes on with it.
  const int named = !done                           ? 0
                    : existing == Existing::replace ? ::rename(growing.c_str(), to.c_str())
                                                    : ::link(growing.c_str(), to.c_str());
  if (named != 0 && errno != EEXIST) done = system_error("creating", to);
  ::unlink(growing.c_str());
  if (done) done = sync_folder(to.parent_path());
  return done;
}

Result<void> link_file(const fs::path& from, const fs::path& to) {
  // What stands there may be damaged: the new one is not.
  const fs::path fresh = to.string() + ".new";
  if (::unlink(fresh.c_str()) != 0 && errno != ENOENT) return system_error("removing", fresh);
  if (::link(from.c_str(), fresh.c_str()) != 0) return system_error("creating", fresh);
  if (::rename(fresh.c_str(), to.c_str()) != 0) return system_error("creating", to);
  // Where both are one file already, rename does nothing.
  if (::unlink(fresh.c_str()) != 0 && errno != ENOENT) return system_error("removing", fresh);
  return sync_folder(to.parent_path());
}

namespace {

Result<std::string> digest_of(int file, const fs::path& path, std::int64_t bytes,
                              const KeepAlive& alive) {
  crypto::Sha256 digest;
  std::string piece(piece_bytes, '\0');
  for (off_t at = 0; at < bytes;) {
    const auto wanted = std::min<std::int64_t>(bytes - at, std::ssize(piece));
    const ssize_t n = ::pread(file, piece.data(), static_cast<std::size_t>(wanted), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("reading", path);
    if (n == 0)
      return Error(ErrorKind::internal, path.string() + " has " + std::to_string(at) +
                                            " bytes, and should have " + std::to_string(bytes));
    digest.add({piece.data(), static_cast<std::size_t>(n)});
    at += n;
    if (auto still = alive(); !still) return still.error();
  }
  return digest.hex();
}

}  // namespace

Result<std::string> digest_of(const fs::path& path, std::int64_t bytes, const KeepAlive& alive) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return system_error("opening", path);
  return digest_of(file.get(), path, bytes, alive);
}

Result<std::string> seal(const fs::path& path, std::int64_t bytes, const KeepAlive& alive) {
  const Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) != 0) return system_error("opening", path);
  if (status.st_size < bytes)
    return Error(ErrorKind::internal, path.string() + " has " + std::to_string(status.st_size) +
                                          " bytes, fewer than the " + std::to_string(bytes) +
                                          " that the build reported");
  if (status.st_size != bytes && ::ftruncate(file.get(), bytes) != 0)
    return system_error("cutting", path);
  if (::fchmod(file.get(), 0644) != 0) return system_error("changing the mode of", path);

  auto digest = digest_of(file.get(), path, bytes, alive);
  if (!digest) return digest.error();
  if (::fsync(file.get()) != 0) return system_error("writing", path);
  return digest;
}

std::int64_t taken_bytes(const fs::path& path) {
  struct stat status{};
  constexpr std::int64_t unit = 512;  // of st_blocks, whatever the file system's blocks are
  return ::stat(path.c_str(), &status) == 0 ? std::int64_t{status.st_blocks} * unit : 0;
}

Result<std::int64_t> free_bytes(const fs::path& folder) {
  struct statvfs space{};
  if (::statvfs(folder.c_str(), &space) != 0) return system_error("looking at", folder);
  return static_cast<std::int64_t>(space.f_bavail) * static_cast<std::int64_t>(space.f_frsize);
}

}  // namespace karreg::builder
