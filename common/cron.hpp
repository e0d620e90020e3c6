#pragma once
/// Times that come again and again, as crontab(5) writes them.

#include <bitset>
#include <chrono>
#include <string_view>

#include "common/error.hpp"

namespace karreg {

/// When something is to run. All times are UTC, so that no hour comes twice or never.
class CronSchedule {
 public:
  /// @p text: minute, hour, day of the month, month and day of the week, with white space between
  /// them; each is `*`, a number, a range `1-5`, either of these two with a step (`*/15`,
  /// `8-18/2`), or several with commas; months and days of the week have their English names, too
  /// (`JAN`, `mon`), and Sunday is 0 or 7. Or one of `@hourly`, `@daily`, `@midnight`, `@weekly`,
  /// `@monthly`, `@yearly`, `@annually`. As in crontab(5), a day matches by either of its two
  /// fields when neither of them begins with `*`, else by both.
  /// Error `invalid` is a sentence that names the field, and for what can never come (31 February).
  static Result<CronSchedule> parse(std::string_view text);

  /// The first time after @p time, a full minute.
  std::chrono::sys_seconds next_after(std::chrono::sys_seconds time) const;

 private:
  bool has_day(std::chrono::sys_days day) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     ///< 1 .. 31
  std::bitset<13> months_;   ///< 1 .. 12
  std::bitset<7> weekdays_;  ///< 0: Sunday
  bool either_day_ = false;  ///< one of the two fields of the day is enough
};

}  // namespace karreg
