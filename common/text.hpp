#pragma once
/// Text as protocols see it: ASCII case, white space, tokens and UTF-8.

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

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

/// @p text without the white space of HTTP (RFC 9110 §5.6.3) around it.
constexpr std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

namespace detail {
constexpr std::array<bool, 256> token_table() {
  std::array<bool, 256> table{};
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = true;
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
    table[static_cast<unsigned char>(c)] = true;
  return table;
}
inline constexpr auto token_chars = token_table();
}  // namespace detail

/// Whether @p text is a token (RFC 9110 §5.6.2), as methods and names of fields are.
constexpr bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return detail::token_chars.at(static_cast<unsigned char>(c));
  });
}

/// Bytes of the well-formed UTF-8 sequence at the front of @p text, 1 to 4 (RFC 3629: no overlong
/// forms, no surrogates); 0 when there is none.
std::size_t utf8_length(std::string_view text);
/// Whether all of @p text is well-formed UTF-8.
bool is_utf8(std::string_view text);
/// @p text as one line that any terminal and database takes: white space is a blank, and control
/// characters and malformed UTF-8 are U+FFFD each.
std::string printable(std::string_view text);
/// The words of @p text: what stands between white space.
std::vector<std::string_view> words(std::string_view text);
/// @p word as one word of a POSIX shell, quoted where needed.
std::string shell_quote(std::string_view word);

}  // namespace karreg::text
