#include "cli/times.hpp"

#include <catch2/catch.hpp>

using namespace karreg::cli;

namespace {
constexpr std::int64_t now = 1'700'000'000'000;  // 2023-11-14T22:13:20Z
}

TEST_CASE("moments are read as dates, times and ages") {
  struct Case {
    std::string text;
    std::int64_t ms;
  };
  const auto c = GENERATE(values<Case>({
      {"2023-11-14T22:13:20Z", now},
      {"2023-11-14T22:13:20.250Z", now + 250},
      {"2023-11-14T22:13:20.123456Z", now + 123},
      {"2023-11-15T00:13:20+02:00", now},
      {"2023-11-14T16:43:20-0530", now},
      {"2023-11-14 22:13:20", now},
      {"2023-11-14T22:13Z", now - 20'000},
      {"2023-11-14", 1'699'920'000'000},
      {"1970-01-01T00:00:00Z", 0},
      {"90s", now - 90'000},
      {"15m", now - 900'000},
      {"2h", now - 7'200'000},
      {"3d", now - 259'200'000},
  }));
  INFO(c.text);
  const auto read = parse_moment(c.text, now);
  REQUIRE(read);
  CHECK(*read == c.ms);
}

TEST_CASE("what is no moment is refused with examples") {
  for (const char* bad : {"", "yesterday", "12", "5y", "-5m", "2023-02-30", "2023-11-14T25:00Z",
                          "2023-11-14T22:13:20+2", "2023-11-14x", "1.5h"}) {
    INFO(bad);
    const auto read = parse_moment(bad, now);
    REQUIRE_FALSE(read);
    CHECK(read.error().message() ==
          "`" + std::string(bad) +
              "` is not a time: give 2026-01-31T12:00:00Z, 2026-01-31, or how long ago: 90s, 15m, "
              "2h, 3d.");
  }
}

TEST_CASE("times are written for machines and for people") {
  CHECK(iso_time(now + 7) == "2023-11-14T22:13:20.007Z");
  CHECK(readable_time(now) == "2023-11-14 22:13:20");
  CHECK(age(now - 59'000, now) == "just now");
  CHECK(age(now - 300'000, now) == "5 min ago");
  CHECK(age(now - 7'200'000, now) == "2 h ago");
  CHECK(age(now - 200'000'000, now) == "2 d ago");
}

TEST_CASE("a length of time is read and written") {
  CHECK(*parse_span("90s") == 90);
  CHECK(*parse_span("10m") == 600);
  CHECK(*parse_span("3d") == 259'200);
  for (const char* bad : {"", "soon", "10", "1.5h", "-5m", "99999999999999999d"}) {
    INFO(bad);
    const auto read = parse_span(bad);
    REQUIRE_FALSE(read);
    CHECK(read.error().message() == "`" + std::string(bad) +
                                        "` is not a length of time: give one such as 90s, 15m, 2h "
                                        "or 3d.");
  }
  CHECK(span_text(90) == "90 s");
  CHECK(span_text(600) == "10 min");
  CHECK(span_text(7200) == "2 h");
  CHECK(span_text(259'200) == "3 d");
}
