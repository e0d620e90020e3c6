#pragma once
/// Writes POSIX tar archives as a stream: pure, from names and bytes to blocks.
/// Source: POSIX.1-2017, pax Interchange Format (ustar headers, `x` extended headers for long
/// names).

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/error.hpp"

namespace karreg::builder {

class TarWriter {
 public:
  /// Gets the archive in pieces of at most 1 MiB.
  using Sink = std::function<Result<void>(std::string_view)>;

  /// @p mtime: seconds since the epoch, the same for every member, so that equal trees give equal
  /// bytes.
  TarWriter(Sink sink, std::int64_t mtime) : sink_(std::move(sink)), mtime_(mtime) {}

  Result<void> folder(const std::string& name);
  Result<void> link(const std::string& name, const std::string& target);
  /// A regular file with all its @p bytes.
  Result<void> file(const std::string& name, bool executable, std::string_view bytes);
  /// The two empty blocks at the end; nothing may follow.
  Result<void> finish();

  /// Bytes given to the sink so far.
  std::int64_t written() const { return written_; }

 private:
  struct Member {
    std::string name;
    std::string target;
    char type;
    unsigned mode;
    std::uint64_t size;
  };

  Result<void> header(const Member& member);
  Result<void> ustar(const Member& member);
  Result<void> padded(std::string_view bytes);
  Result<void> put(std::string_view bytes);

  Sink sink_;
  std::int64_t mtime_;
  std::int64_t written_ = 0;
};

}  // namespace karreg::builder
