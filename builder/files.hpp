#pragma once
/// Files of the data folder: written whole or not at all, sparse where they are empty, safe on disk
/// before anything else is told. Every error names the file and the system's reason.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/error.hpp"

namespace karreg::builder {

/// Called now and then during long work; an error ends the work.
using KeepAlive = std::function<Result<void>()>;

/// A file being written. Removed by nobody: the folder it is in is.
class FileWriter {
 public:
  /// Creates or empties @p path (mode 0644).
  static Result<FileWriter> create(const std::filesystem::path& path);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter();

  Result<void> write(std::string_view bytes);
  /// Grows or cuts the file; what was not written reads as zeros and takes no space.
  Result<void> resize(std::int64_t bytes);
  /// Writes out what is buffered and waits until the disk has it.
  Result<void> sync();

 private:
  FileWriter(int fd, std::filesystem::path path) : fd_(fd), path_(std::move(path)) {}
  Result<void> flush();

  int fd_;
  std::filesystem::path path_;
  std::string buffer_;
};

/// Waits until the names in @p folder are on disk.
Result<void> sync_folder(const std::filesystem::path& folder);

/// Removes a folder with all it holds, if it is still there.
class FolderGuard {
 public:
  explicit FolderGuard(std::filesystem::path path) : path_(std::move(path)) {}
  ~FolderGuard() {
    std::error_code ignored;  // the next sweep takes what is left
    std::filesystem::remove_all(path_, ignored);
  }
  FolderGuard(const FolderGuard&) = delete;
  FolderGuard& operator=(const FolderGuard&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Renames the folder @p fresh to @p name, safe on disk; what is there goes to @p aside. Done
/// again, it changes nothing.
Result<void> publish_folder(const std::filesystem::path& fresh, const std::filesystem::path& name,
                            const std::filesystem::path& aside);

enum class Existing { keep, replace };

/// Copies @p from to the new file @p to: shares its blocks where the file system can, else copies
/// its data and keeps its holes. @p to appears only when it is whole; @p existing says what becomes
/// of one that is there.
Result<void> copy_template(const std::filesystem::path& from, const std::filesystem::path& to,
                           Existing existing);

/// Gives the file @p from the second name @p to, safe on disk; one that is there is replaced.
Result<void> link_file(const std::filesystem::path& from, const std::filesystem::path& to);

/// Cuts @p path to @p bytes, makes it readable for all, waits for the disk; gives its SHA-256.
/// Error `internal` when it is shorter.
Result<std::string> seal(const std::filesystem::path& path, std::int64_t bytes,
                         const KeepAlive& alive);

/// SHA-256 of the file @p path, of @p bytes. Error `internal` when it has not so many; @p alive's.
Result<std::string> digest_of(const std::filesystem::path& path, std::int64_t bytes,
                              const KeepAlive& alive);

/// Bytes that @p path takes on disk, its holes not counted; 0 when it is not there.
std::int64_t taken_bytes(const std::filesystem::path& path);

/// Bytes that an unprivileged writer still can write at @p folder.
Result<std::int64_t> free_bytes(const std::filesystem::path& folder);

}  // namespace karreg::builder
