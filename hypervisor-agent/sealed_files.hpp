#pragma once
/// Files whose name is the digest of their bytes: are they still what their name says?

#include <sys/stat.h>

#include <map>
#include <mutex>
#include <string>

#include "common/error.hpp"

namespace karreg::agent {

/// Remembers what it has read. A file is read again when it is another one, or was written to, cut
/// or touched since then (its inode, size, or times differ): a boot of what was booted a moment ago
/// costs one stat(2). Any thread; one reads at a time.
class SealedFiles {
 public:
  /// Whether the SHA-256 of @p path is @p digest (lower-case hexadecimal). Error `not_found`: there
  /// is no such file; `internal`: it cannot be read, or its bytes are others.
  Result<void> check(const std::string& path, const std::string& digest);

 private:
  struct Seen {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    timespec written{};
    timespec changed{};  ///< of its inode; nobody can set it back
    static Seen of(const struct stat& status);
    bool operator==(const Seen& other) const;
  };

  std::mutex mutex_;
  std::map<std::string, Seen> whole_;  ///< by path
};

}  // namespace karreg::agent
