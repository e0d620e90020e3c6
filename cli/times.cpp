#include "cli/times.hpp"

#include <fmt/format.h>

#include <charconv>
#include <chrono>

namespace karreg::cli {
namespace {

/// Longer numbers would not fit into milliseconds.
constexpr std::size_t most_span_characters = 10;

/// Reads exactly @p digits decimal digits off the front of @p text.
bool take_number(std::string_view& text, std::size_t digits, int& value) {
  if (text.size() < digits) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error != std::errc() || end != text.data() + digits || value < 0) return false;
  text.remove_prefix(digits);
  return true;
}
bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

/// Minutes of "Z", "+02:00", "-0530"; nothing left over.
bool take_offset(std::string_view text, int& minutes) {
  minutes = 0;
  if (text.empty() || text == "Z" || text == "z") return true;
  const int sign = text.front() == '-' ? -1 : 1;
  if (text.front() != '+' && text.front() != '-') return false;
  text.remove_prefix(1);
  int hours = 0;
  int rest = 0;
  if (!take_number(text, 2, hours)) return false;
  take(text, ':');
  if (!take_number(text, 2, rest) || !text.empty()) return false;
  minutes = sign * (hours * 60 + rest);
  return true;
}

bool parse_iso(std::string_view text, std::int64_t& ms) {
  int year = 0;
  int month = 0;
  int day = 0;
  if (!take_number(text, 4, year) || !take(text, '-') || !take_number(text, 2, month) ||
      !take(text, '-') || !take_number(text, 2, day))
    return false;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return false;
  int hour = 0;
  int minute = 0;
  int second = 0;
  std::int64_t fraction = 0;
  int offset = 0;
  if (!text.empty()) {
    if (!take(text, 'T') && !take(text, ' ')) return false;
    if (!take_number(text, 2, hour) || !take(text, ':') || !take_number(text, 2, minute))
      return false;
    if (take(text, ':') && !take_number(text, 2, second)) return false;
    if (take(text, '.')) {
      std::int64_t unit = 100;
      for (int digit = 0; !text.empty() && take_number(text, 1, digit); unit /= 10)
        fraction += digit * unit;
    }
    if (!take_offset(text, offset) || hour > 23 || minute > 59 || second > 60) return false;
  }
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  ms = ((static_cast<std::int64_t>(days) * 24 + hour) * 60 + minute - offset) * 60'000 +
       second * 1000L + fraction;
  return true;
}

bool parse_ago(std::string_view text, std::int64_t& ms) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || end + 1 != text.data() + text.size()) return false;
  switch (*end) {
    case 's':
      ms = number * 1000;
      return true;
    case 'm':
      ms = number * 60'000;
      return true;
    case 'h':
      ms = number * 3'600'000;
      return true;
    case 'd':
      ms = number * 86'400'000;
      return true;
    default:
      return false;
  }
}

std::string formatted(std::int64_t ms, bool iso) {
  using namespace std::chrono;
  const sys_time<milliseconds> point{milliseconds(ms)};
  const auto day = floor<days>(point);
  const year_month_day date(day);
  const hh_mm_ss time(point - day);
  const std::string text = fmt::format(
      "{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), iso ? 'T' : ' ',
      time.hours().count(), time.minutes().count(), time.seconds().count());
  return iso ? text + fmt::format(".{:03}Z", time.subseconds().count()) : text;
}

}  // namespace

Result<std::int64_t> parse_moment(std::string_view text, std::int64_t now_ms) {
  std::int64_t ms = 0;
  if (parse_ago(text, ms)) return now_ms - ms;
  if (parse_iso(text, ms)) return ms;
  return Error(ErrorKind::invalid, "`" + std::string(text) +
                                       "` is not a time: give 2026-01-31T12:00:00Z, 2026-01-31, or "
                                       "how long ago: 90s, 15m, 2h, 3d.");
}

Result<std::int64_t> parse_span(std::string_view text) {
  std::int64_t ms = 0;
  if (text.size() <= most_span_characters && parse_ago(text, ms)) return ms / 1000;
  return Error(ErrorKind::invalid, "`" + std::string(text) +
                                       "` is not a length of time: give one such as 90s, 15m, 2h "
                                       "or 3d.");
}

std::string span_text(std::int64_t seconds) {
  if (seconds > 0 && seconds % 86'400 == 0) return fmt::format("{} d", seconds / 86'400);
  if (seconds > 0 && seconds % 3600 == 0) return fmt::format("{} h", seconds / 3600);
  if (seconds > 0 && seconds % 60 == 0) return fmt::format("{} min", seconds / 60);
  return fmt::format("{} s", seconds);
}

std::string iso_time(std::int64_t ms) {
  return formatted(ms, true);
}
std::string readable_time(std::int64_t ms) {
  return formatted(ms, false);
}

std::string age(std::int64_t ms, std::int64_t now_ms) {
  const std::int64_t seconds = (now_ms - ms) / 1000;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return fmt::format("{} min ago", seconds / 60);
  if (seconds < 86'400) return fmt::format("{} h ago", seconds / 3600);
  return fmt::format("{} d ago", seconds / 86'400);
}

std::string readable_time(const std::string& iso) {
  return iso.size() >= 19 ? iso.substr(0, 10) + " " + iso.substr(11, 8) : iso;
}

}  // namespace karreg::cli
