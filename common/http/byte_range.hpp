#pragma once
/// Range requests (RFC 9110 §14), as far as resuming a download needs them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/error.hpp"

namespace karreg::http {

/// Bytes @c first to @c last of a representation, both included.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t length() const { return last - first + 1; }
  bool operator==(const ByteRange&) const = default;
};

/// What the field Range, @p field, asks for of @p size bytes. Nothing inside: all of them, for
/// there is no such field, or it has another unit, several ranges or no right form, which a server
/// may pass over (§14.2). Error `invalid`: none of these bytes is there, which is answered with
/// 416.
Result<std::optional<ByteRange>> asked_range(std::optional<std::string_view> field,
                                             std::uint64_t size);

/// "bytes 5-9/10", of @p size bytes (§14.4).
std::string content_range(const ByteRange& range, std::uint64_t size);

/// What the field Content-Range says, and how long the whole is.
struct ContentRange {
  ByteRange range;
  std::uint64_t size = 0;
};
/// Nothing when @p field has another form, or does not say how long the whole is.
std::optional<ContentRange> parse_content_range(std::string_view field);

}  // namespace karreg::http
