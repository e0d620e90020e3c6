#pragma once
/// Text as protocols see it: ASCII case and UTF-8.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace karreg::text {

/// @p c with A to Z as a to z, whatever the locale.
constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
inline std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = lower(c);
  return result;
}
/// Whether @p a and @p b are equal without regard to ASCII case.
constexpr bool iequals(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

/// Bytes of the well-formed UTF-8 sequence at the front of @p text, 1 to 4 (RFC 3629: no overlong
/// forms, no surrogates); 0 when there is none.
std::size_t utf8_length(std::string_view text);
/// Whether all of @p text is well-formed UTF-8.
bool is_utf8(std::string_view text);

}  // namespace karreg::text
