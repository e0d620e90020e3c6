#include "builder/version_range.hpp"

#include <algorithm>
#include <cctype>
#include <string>

#include "builder/shell_line.hpp"

namespace karreg::builder {

/// "3.11" is two numbers; "3.x" is one.
struct VersionRange::Partial {
  Numbers numbers{};
  std::size_t given = 0;
};

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void skip_blanks(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == ',' || text.front() == '\t'))
    text.remove_prefix(1);
}

}  // namespace

bool VersionRange::read(std::string_view& text, Partial& number) {
  number = {};
  if (text.starts_with('v') || text.starts_with('V')) text.remove_prefix(1);
  for (bool wild = false;;) {
    if (text.starts_with('x') || text.starts_with('X') || text.starts_with('*')) {
      wild = true;
      text.remove_prefix(1);
    } else {
      std::size_t digits = 0;
      long value = 0;
      while (digits < text.size() && is_digit(text[digits])) {
        if (digits == 9) return false;
        value = value * 10 + (text[digits++] - '0');
      }
      if (digits == 0) return false;
      text.remove_prefix(digits);
      if (!wild && number.given < number.numbers.size()) number.numbers[number.given++] = value;
    }
    if (!text.starts_with('.')) break;
    text.remove_prefix(1);
  }
  // "-rc.1", "+build", "a1": which of the releases before or after it is meant decides no runtime.
  while (!text.empty() && text.front() != ' ' && text.front() != ',' && text.front() != '\t')
    text.remove_prefix(1);
  return true;
}

VersionRange::Span VersionRange::line_of(const Partial& number) {
  if (number.given == 0) return everything;
  Span span{number.numbers, number.numbers};
  ++span.below[number.given - 1];
  return span;
}

bool VersionRange::narrow(Span& span, std::string_view op, const Partial& number, Tilde tilde) {
  const Span line = line_of(number);
  const auto limit = [&](const Numbers& from, const Numbers& below) {
    span.from = std::max(span.from, from);
    span.below = std::min(span.below, below);
    return true;
  };
  const auto up_to_next = [&](std::size_t place) {
    Numbers below{};
    std::copy_n(line.from.begin(), place + 1, below.begin());
    ++below[place];
    return limit(line.from, below);
  };
  if (op == "!=") return true;  // leaves the rest of the line
  if (number.given == 0) return true;
  if (op.empty() || op == "=" || op == "==" || op == "===") return limit(line.from, line.below);
  if (op == ">=") return limit(line.from, everything.below);
  if (op == ">") return limit(line.below, everything.below);
  if (op == "<") return limit(everything.from, line.from);
  if (op == "<=") return limit(everything.from, line.below);
  if (op == "^") {
    // Up to the next of the leftmost number that is not 0.
    std::size_t place = 0;
    while (place + 1 < number.given && line.from[place] == 0) ++place;
    return up_to_next(place);
  }
  const bool pessimistic = op == "~>" || op == "~=" || tilde == Tilde::next_major;
  if (op == "~" || op == "~>" || op == "~=") {
    if (pessimistic) return up_to_next(number.given < 2 ? 0 : number.given - 2);
    return up_to_next(number.given == 1 ? 0 : 1);
  }
  return false;
}

bool VersionRange::narrow_all(Span& span, std::string_view conditions, Tilde tilde) {
  for (skip_blanks(conditions); !conditions.empty(); skip_blanks(conditions)) {
    std::size_t length = 0;
    while (length < conditions.size() &&
           std::string_view("<>=!~^").find(conditions[length]) != std::string_view::npos)
      ++length;
    const std::string_view op = conditions.substr(0, length);
    conditions.remove_prefix(length);
    skip_blanks(conditions);
    Partial number;
    if (!read(conditions, number)) return false;
    skip_blanks(conditions);
    if (op.empty() && conditions.starts_with("- ")) {
      conditions.remove_prefix(2);
      skip_blanks(conditions);
      Partial last;
      if (!read(conditions, last)) return false;
      if (!narrow(span, ">=", number, tilde) || !narrow(span, "<=", last, tilde)) return false;
    } else if (!narrow(span, op, number, tilde)) {
      return false;
    }
  }
  return true;
}

Result<VersionRange> VersionRange::parse(std::string_view text, Tilde tilde) {
  VersionRange range;
  const std::string all = trimmed(text);
  std::string_view rest = all;
  for (bool more = true, first = true; more; first = false) {
    const auto bar = rest.find('|');
    Span span = everything;
    const std::string one = trimmed(rest.substr(0, bar));
    const bool only = first && bar == std::string_view::npos;
    if ((one.empty() && !only) || !narrow_all(span, one, tilde))
      return Error(ErrorKind::invalid, "`" + all + "` is no range of versions");
    if (span.from < span.below) range.alternatives_.push_back(span);
    more = bar != std::string_view::npos;
    if (more) rest.remove_prefix(bar + (rest.substr(bar).starts_with("||") ? 2 : 1));
  }
  return range;
}

bool VersionRange::allows(std::string_view version) const {
  Partial number;
  if (!read(version, number)) return false;
  const Span line = line_of(number);
  return std::ranges::any_of(alternatives_, [&](const Span& span) {
    return std::max(span.from, line.from) < std::min(span.below, line.below);
  });
}

}  // namespace karreg::builder
