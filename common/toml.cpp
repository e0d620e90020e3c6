#include "common/toml.hpp"

#include "common/text.hpp"

namespace karreg {
namespace {

/// What an assertion of the parser throws; it knows no place.
class DoesNotHold : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '"' || c == '\'';
}

/// Where the parser has met what it takes for impossible: a header of a table that begins with no
/// name.
TomlError without_place(std::string_view text) {
  unsigned number = 0;
  while (!text.empty()) {
    ++number;
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const auto begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos || line[begin] != '[') continue;
    const auto name = line.find_first_not_of("[ \t", begin);
    if (name != std::string_view::npos && !begins_name(line[name]))
      return {
          "a table's name was expected after the `[`: letters, digits, - and _, or a text in "
          "quotes",
          number, static_cast<unsigned>(name + 1)};
  }
  return {"this is no TOML", 1, 1};
}

}  // namespace

namespace detail {
void toml_does_not_hold(const char* what) {
  throw DoesNotHold(what);
}
}  // namespace detail

toml::table parse_toml(std::string_view text) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& e) {
    throw TomlError(std::string(e.description()), e.source().begin.line, e.source().begin.column);
  } catch (const DoesNotHold&) {
    throw without_place(text);
  }
}

}  // namespace karreg
