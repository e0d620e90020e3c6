#include "common/cron.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace karreg;
using namespace std::chrono;
using Catch::Matchers::Contains;

namespace {

constexpr sys_seconds at(year_month_day day, int hour = 0, int minute = 0, int second = 0) {
  return sys_days(day) + hours(hour) + minutes(minute) + seconds(second);
}

sys_seconds next(const char* line, sys_seconds after) {
  const auto schedule = CronSchedule::parse(line);
  REQUIRE(schedule.has_value());
  return schedule->next_after(after);
}

std::string why(const char* line) {
  const auto schedule = CronSchedule::parse(line);
  return schedule ? std::string("it is taken") : schedule.error().message();
}

constexpr auto new_year = 2026y / January / 1;  // a Thursday

}  // namespace

TEST_CASE("a time of a crontab: the next one is after the given one, at a full minute") {
  CHECK(next("* * * * *", at(new_year, 10, 0, 30)) == at(new_year, 10, 1));
  CHECK(next("* * * * *", at(new_year, 10, 0)) == at(new_year, 10, 1));
  CHECK(next("0 10 * * *", at(new_year, 10, 0)) == at(2026y / January / 2, 10));
  CHECK(next("59 23 31 12 *", at(new_year)) == at(2026y / December / 31, 23, 59));
}

TEST_CASE("a time of a crontab: steps, ranges and lists") {
  CHECK(next("*/15 * * * *", at(new_year, 0, 16)) == at(new_year, 0, 30));
  CHECK(next("8-18/5 * * * *", at(new_year, 0, 9)) == at(new_year, 0, 13));
  CHECK(next("50/5 * * * *", at(new_year, 0, 51)) == at(new_year, 0, 55));
  CHECK(next("5,35 4,20 * * *", at(new_year, 4, 35)) == at(new_year, 20, 5));
  CHECK(next(" 0\t9-17  * * MON-fri ", at(2026y / January / 2, 17)) == at(2026y / January / 5, 9));
}

TEST_CASE("a time of a crontab: Sunday is 0 and 7") {
  CHECK(next("0 0 * * 0", at(new_year)) == at(2026y / January / 4));
  CHECK(next("0 0 * * 7", at(new_year)) == at(2026y / January / 4));
  CHECK(next("0 0 * * 5-7", at(2026y / January / 3)) == at(2026y / January / 4));
}

TEST_CASE("a time of a crontab: one of the two days is enough when both are given") {
  // The 13th, and every Friday.
  CHECK(next("0 0 13 * 5", at(new_year)) == at(2026y / January / 2));
  CHECK(next("0 0 13 * 5", at(2026y / January / 9)) == at(2026y / January / 13));
  // With a star in front, both must match: odd days that are Fridays.
  CHECK(next("0 0 */2 * 5", at(new_year)) == at(2026y / January / 9));
}

TEST_CASE("a time of a crontab: a leap day comes when it comes") {
  CHECK(next("0 0 29 2 *", at(new_year)) == at(2028y / February / 29));
  CHECK(next("0 0 29 2 *", at(2096y / March / 1)) == at(2104y / February / 29));
}

TEST_CASE("a time of a crontab: words for whole lines") {
  CHECK(next("@hourly", at(new_year, 3, 1)) == at(new_year, 4));
  CHECK(next("@daily", at(new_year, 3)) == at(2026y / January / 2));
  CHECK(next("@weekly", at(new_year)) == at(2026y / January / 4));
  CHECK(next("@Monthly", at(new_year)) == at(2026y / February / 1));
  CHECK(next("@yearly", at(new_year)) == at(2027y / January / 1));
}

TEST_CASE("a time of a crontab: what cannot be read is said") {
  CHECK_THAT(why(""), Contains("has 0 fields and must have five"));
  CHECK_THAT(why("* * * *"), Contains("has 4 fields"));
  CHECK_THAT(why("60 * * * *"), Contains("the minute `60` must be a number from 0 to 59"));
  CHECK_THAT(why("* 24 * * *"), Contains("the hour `24`"));
  CHECK_THAT(why("* * 0 * *"), Contains("the day of the month `0`"));
  CHECK_THAT(why("* * * foo *"), Contains("the month `foo`"));
  CHECK_THAT(why("* * * * 8"), Contains("the day of the week `8`"));
  CHECK_THAT(why("-1 * * * *"), Contains("the minute ``"));
  CHECK_THAT(why("5-1 * * * *"), Contains("ends before it begins"));
  CHECK_THAT(why("*/0 * * * *"), Contains("has a step"));
  CHECK_THAT(why("*/ * * * *"), Contains("has a step"));
  CHECK_THAT(why("1, * * * *"), Contains("the minute ``"));
  CHECK_THAT(why("99999999999 * * * *"), Contains("the minute `99999999999`"));
  CHECK_THAT(why("@reboot"), Contains("known are @hourly"));
  CHECK_THAT(why("0 0 31 2 *"), Contains("never comes"));
}
