#include "common/json.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <map>
#include <vector>

namespace karreg {

using nlohmann::json;

namespace {
/// What is said of @p text where a T is read; empty: it is one.
template <class T>
std::string why_not(const std::string& text) {
  try {
    (void)json::parse(text).get<T>();
    return {};
  } catch (const json::exception& e) {
    return e.what();
  }
}
}  // namespace

TEST_CASE("a whole number is read if it is one and fits") {
  CHECK(json::parse("65535").get<std::uint16_t>() == 65535);
  CHECK(json::parse("-1").get<int>() == -1);
  CHECK(json::parse("18446744073709551615").get<std::uint64_t>() ==
        std::numeric_limits<std::uint64_t>::max());
  CHECK(json::parse("-9223372036854775808").get<std::int64_t>() ==
        std::numeric_limits<std::int64_t>::min());
  // JSON knows no kinds of numbers.
  CHECK(json::parse("3.0").get<int>() == 3);
  CHECK(json::parse("2e3").get<std::uint16_t>() == 2000);
}

TEST_CASE("what is no whole number, or does not fit, is refused and not cut until it does") {
  using Catch::Contains;
  CHECK_THAT(why_not<std::uint16_t>("65616"),
             Contains("65616 is not a whole number from 0 to 65535"));
  CHECK_THAT(why_not<std::uint64_t>("-1"), Contains("-1 is not a whole number from 0 to 18446"));
  CHECK_THAT(why_not<int>("4294967297"), Contains("from -2147483648 to 2147483647"));
  CHECK_THAT(why_not<std::int64_t>("18446744073709551615"), Contains("is not a whole number"));
  CHECK_THAT(why_not<std::uint64_t>("3.33e24"), Contains("3.33e+24 is not a whole number"));
  CHECK_THAT(why_not<std::int64_t>("-1e300"), Contains("is not a whole number"));
  CHECK_THAT(why_not<int>("0.5"), Contains("0.5 is not a whole number"));
  CHECK_THAT(why_not<int>("true"), Contains("type must be number, but is boolean"));
  CHECK_THAT(why_not<int>("\"1\""), Contains("type must be number, but is string"));
}

TEST_CASE("whole numbers within others are read alike, and others as ever") {
  CHECK_THAT((why_not<std::vector<std::uint8_t>>("[1, 256]")), Catch::Contains("256 is not"));
  CHECK_THAT((why_not<std::map<std::string, int>>(R"({"a": 1e10})")), Catch::Contains("is not"));
  const auto object = json::parse(R"({"port": 80, "share": 0.5, "on": true})");
  CHECK(object.value("port", std::uint16_t{0}) == 80);
  CHECK(object.at("share").get<double>() == 0.5);
  CHECK(object.at("on").get<bool>());
  CHECK(json(std::uint64_t{1} << 63).dump() == "9223372036854775808");
  CHECK(json(-5).is_number_integer());
}

}  // namespace karreg
