#include "common/http/byte_range.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace karreg::http {
namespace {

/// Takes a number off the front of @p text; nothing when none stands there, or one too large.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [rest, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return number;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

Error none_of(std::uint64_t size) {
  return Error(ErrorKind::invalid, fmt::format("none of these bytes is there: it has {}", size));
}

}  // namespace

Result<std::optional<ByteRange>> asked_range(std::optional<std::string_view> field,
                                             std::uint64_t size) {
  const std::optional<ByteRange> all;
  if (!field) return all;
  std::string_view text = *field;
  if (!take(text, "bytes=")) return all;
  if (take(text, "-")) {
    const auto length = take_number(text);
    if (!length || !text.empty()) return all;
    if (*length == 0 || size == 0) return none_of(size);
    return std::optional<ByteRange>({size - std::min(*length, size), size - 1});
  }
  const auto first = take_number(text);
  if (!first || !take(text, "-")) return all;
  std::uint64_t last = UINT64_MAX;
  if (!text.empty()) {
    const auto given = take_number(text);
    if (!given || !text.empty() || *given < *first) return all;
    last = *given;
  }
  if (*first >= size) return none_of(size);
  return std::optional<ByteRange>({*first, std::min(last, size - 1)});
}

std::string content_range(const ByteRange& range, std::uint64_t size) {
  return fmt::format("bytes {}-{}/{}", range.first, range.last, size);
}

std::optional<ContentRange> parse_content_range(std::string_view field) {
  if (!take(field, "bytes ")) return std::nullopt;
  const auto first = take_number(field);
  if (!first || !take(field, "-")) return std::nullopt;
  const auto last = take_number(field);
  if (!last || !take(field, "/")) return std::nullopt;
  const auto size = take_number(field);
  if (!size || !field.empty() || *last < *first || *last >= *size) return std::nullopt;
  return ContentRange{{*first, *last}, *size};
}

}  // namespace karreg::http
