#include "hypervisor-agent/sealed_files.hpp"

#include <fmt/format.h>

#include <cstring>

#include "common/crypto/digest.hpp"

namespace karreg::agent {
namespace {

/// Files that go are not told: beyond so many, all are read once more.
constexpr std::size_t most_remembered = 10'000;

bool equal(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

SealedFiles::Seen SealedFiles::Seen::of(const struct stat& status) {
  return {status.st_dev, status.st_ino, status.st_size, status.st_mtim, status.st_ctim};
}

bool SealedFiles::Seen::operator==(const Seen& other) const {
  return device == other.device && inode == other.inode && size == other.size &&
         equal(written, other.written) && equal(changed, other.changed);
}

Result<void> SealedFiles::check(const std::string& path, const std::string& digest) {
  const std::scoped_lock one(mutex_);
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0)
    return Error(errno == ENOENT ? ErrorKind::not_found : ErrorKind::internal,
                 fmt::format("{}: {}", path, std::strerror(errno)));
  // Looked at before it is read: what is written meanwhile is seen the next time.
  const Seen now = Seen::of(status);
  if (const auto known = whole_.find(path); known != whole_.end() && known->second == now)
    return ok();
  whole_.erase(path);
  auto found = crypto::sha256_file(path);
  if (!found) return found.error();
  if (*found != digest)
    return Error(
        ErrorKind::internal,
        fmt::format("{} has other bytes than its name says (SHA-256 {}): its disk may be damaged, "
                    "or somebody has written to it",
                    path, found->substr(0, 12)));
  if (whole_.size() >= most_remembered) whole_.clear();
  whole_[path] = now;
  return ok();
}

}  // namespace karreg::agent
