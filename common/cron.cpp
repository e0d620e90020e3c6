#include "common/cron.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/text.hpp"

namespace karreg {

using namespace std::chrono;

namespace {

/// A field of a line: what it is called, and its numbers.
struct Field {
  std::string_view name;
  int first;
  int last;
  std::span<const std::string_view> words = {};  ///< of the numbers from @c first on
};

constexpr std::array<std::string_view, 12> month_names = {"jan", "feb", "mar", "apr", "may", "jun",
                                                          "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> weekday_names = {"sun", "mon", "tue", "wed",
                                                           "thu", "fri", "sat"};
constexpr Field minute_field{"minute", 0, 59};
constexpr Field hour_field{"hour", 0, 23};
constexpr Field day_field{"day of the month", 1, 31};
constexpr Field month_field{"month", 1, 12, month_names};
constexpr Field weekday_field{"day of the week", 0, 7, weekday_names};

/// Every day of 400 years has come by then: nothing that can come takes longer (29 February, on a
/// given day of the week, at most 40 years).
constexpr days horizon{366 * 41};

struct Short {
  std::string_view word;
  std::string_view line;
};
constexpr std::array shorts = {Short{"@hourly", "0 * * * *"},   Short{"@daily", "0 0 * * *"},
                               Short{"@midnight", "0 0 * * *"}, Short{"@weekly", "0 0 * * 0"},
                               Short{"@monthly", "0 0 1 * *"},  Short{"@yearly", "0 0 1 1 *"},
                               Short{"@annually", "0 0 1 1 *"}};

Error wrong(const Field& field, std::string_view said, const std::string& why) {
  return {ErrorKind::invalid, fmt::format("the {} `{}` {}", field.name, said, why)};
}

std::optional<int> number_of(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.front() == '-')
    return std::nullopt;
  return value;
}

Result<int> value_of(const Field& field, std::string_view said) {
  const std::string word = text::lower(said);
  for (std::size_t i = 0; i < field.words.size(); ++i)
    if (word == field.words[i]) return field.first + static_cast<int>(i);
  const auto number = said.empty() ? std::nullopt : number_of(said);
  if (!number || *number < field.first || *number > field.last)
    return wrong(field, said,
                 fmt::format("must be a number from {} to {}", field.first, field.last));
  return *number;
}

/// Sets in @p found what one part of a field, between commas, stands for.
Result<void> take_part(const Field& field, std::string_view part, std::bitset<64>& found) {
  const auto slash = part.find('/');
  const std::string_view range = part.substr(0, slash);
  int step = 1;
  if (slash != std::string_view::npos) {
    const std::string_view said = part.substr(slash + 1);
    const auto number = said.empty() ? std::nullopt : number_of(said);
    if (!number || *number < 1)
      return wrong(field, part, "has a step that is no number from 1 on: write */5, for example");
    step = *number;
  }
  int first = field.first;
  int last = field.last;
  if (range != "*") {
    const auto dash = range.find('-');
    auto from = value_of(field, range.substr(0, dash));
    if (!from) return from.error();
    first = last = *from;
    if (dash != std::string_view::npos) {
      auto to = value_of(field, range.substr(dash + 1));
      if (!to) return to.error();
      last = *to;
    } else if (slash != std::string_view::npos) {
      last = field.last;
    }
    if (first > last) return wrong(field, part, "ends before it begins");
  }
  for (int value = first; value <= last; value += step) found.set(static_cast<std::size_t>(value));
  return ok();
}

template <std::size_t Size>
Result<std::bitset<Size>> read_field(const Field& field, std::string_view said) {
  std::bitset<64> found;
  for (std::string_view rest = said;;) {
    const auto comma = rest.find(',');
    if (auto done = take_part(field, rest.substr(0, comma), found); !done) return done.error();
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  std::bitset<Size> result;
  for (std::size_t i = 0; i < 64; ++i)
    if (found[i]) result.set(i % Size);  // 7 is Sunday, too; no other field has more than its size
  return result;
}

}  // namespace

Result<CronSchedule> CronSchedule::parse(std::string_view text) {
  const auto words = text::words(text);
  if (words.size() == 1 && words[0].starts_with('@')) {
    const std::string word = text::lower(words[0]);
    for (const Short& each : shorts)
      if (word == each.word) return parse(each.line);
    std::string known;
    for (const Short& each : shorts) known += (known.empty() ? "" : ", ") + std::string(each.word);
    return Error(ErrorKind::invalid, fmt::format("`{}` is no time: known are {}", words[0], known));
  }
  if (words.size() != 5)
    return Error(
        ErrorKind::invalid,
        fmt::format("`{}` has {} field{} and must have five: minute, hour, day of the month, "
                    "month, day of the week; for example `*/5 * * * *`",
                    text, words.size(), words.size() == 1 ? "" : "s"));
  auto minutes = read_field<60>(minute_field, words[0]);
  if (!minutes) return minutes.error();
  auto hours = read_field<24>(hour_field, words[1]);
  if (!hours) return hours.error();
  auto days = read_field<32>(day_field, words[2]);
  if (!days) return days.error();
  auto months = read_field<13>(month_field, words[3]);
  if (!months) return months.error();
  auto weekdays = read_field<7>(weekday_field, words[4]);
  if (!weekdays) return weekdays.error();
  CronSchedule schedule;
  schedule.minutes_ = *minutes;
  schedule.hours_ = *hours;
  schedule.days_ = *days;
  schedule.months_ = *months;
  schedule.weekdays_ = *weekdays;
  schedule.either_day_ = !words[2].starts_with('*') && !words[4].starts_with('*');
  // Only the day can be one that no year has.
  const sys_days start = sys_days(January / 1 / 2000);
  for (sys_days day = start;; day += std::chrono::days(1)) {
    if (day - start > horizon)
      return Error(ErrorKind::invalid,
                   fmt::format("`{}` never comes: no year has such a day", text));
    if (schedule.has_day(day)) return schedule;
  }
}

bool CronSchedule::has_day(sys_days day) const {
  const year_month_day date(day);
  if (!months_[unsigned(date.month())]) return false;
  const bool of_month = days_[unsigned(date.day())];
  const bool of_week = weekdays_[weekday(day).c_encoding()];
  return either_day_ ? of_month || of_week : of_month && of_week;
}

sys_seconds CronSchedule::next_after(sys_seconds time) const {
  const auto minute = floor<std::chrono::minutes>(time) + std::chrono::minutes(1);
  auto day = floor<std::chrono::days>(minute);
  auto from = minute - day;
  // parse() has seen a day that matches, and days come again.
  for (;; day += std::chrono::days(1), from = std::chrono::minutes(0)) {
    if (!has_day(day)) continue;
    for (auto at = from; at < std::chrono::days(1); at += std::chrono::minutes(1)) {
      const auto hour = static_cast<std::size_t>(at / std::chrono::hours(1));
      const auto left =
          static_cast<std::size_t>(at % std::chrono::hours(1) / std::chrono::minutes(1));
      if (hours_[hour] && minutes_[left]) return day + at;
    }
  }
}

}  // namespace karreg
