#pragma once
/// nlohmann/json as all of Karreg includes it: what is read as a whole number must be one, and fit.
/// The library alone would cut it until it fits (of the port 65 616 it makes 80), and of 1e30
/// something for which C++ has no rule.

#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace karreg {

/// Not those that hold a truth or a character.
template <class T>
concept WholeNumber = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                      !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> &&
                      !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

}  // namespace karreg

namespace nlohmann {

template <karreg::WholeNumber T>
struct adl_serializer<T> {
  /// Exception `type_error` (302): not a number; `out_of_range` (406): one with a fraction (3.0 has
  /// none), or too small or too large for T.
  template <class Json>
  static void from_json(const Json& from, T& to) {
    if (from.is_number_unsigned())
      to = fit(*from.template get_ptr<const std::uint64_t*>(), from);
    else if (from.is_number_integer())
      to = fit(*from.template get_ptr<const std::int64_t*>(), from);
    else if (from.is_number_float())
      to = fit(*from.template get_ptr<const double*>(), from);
    else
      throw Json::type_error::create(
          302, std::string("type must be number, but is ") + from.type_name(), &from);
  }
  template <class Json>
  static void to_json(Json& to, T from) {
    nlohmann::to_json(to, from);
  }

 private:
  template <class Json>
  static T fit(karreg::WholeNumber auto value, const Json& from) {
    if (!std::in_range<T>(value)) refuse(from);
    return static_cast<T>(value);
  }
  template <class Json>
  static T fit(double value, const Json& from) {
    // Up to here each is the whole number that its text says.
    constexpr double exact = 9'007'199'254'740'992;
    if (std::trunc(value) != value || std::abs(value) > exact) refuse(from);
    return fit(static_cast<std::int64_t>(value), from);
  }
  template <class Json>
  [[noreturn]] static void refuse(const Json& from) {
    throw Json::out_of_range::create(406,
                                     from.dump() + " is not a whole number from " +
                                         std::to_string(std::numeric_limits<T>::min()) + " to " +
                                         std::to_string(std::numeric_limits<T>::max()),
                                     &from);
  }
};

}  // namespace nlohmann
