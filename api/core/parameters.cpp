#include "api/core/parameters.hpp"

#include <fmt/format.h>

#include <charconv>

namespace karreg::api {

Result<std::int64_t> number_parameter(std::string_view name, std::string_view text,
                                      std::int64_t least, std::int64_t most) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end || number < least || number > most)
    return Error(ErrorKind::invalid,
                 fmt::format("the parameter {} must be a number from {} to {}, not \"{}\"", name,
                             least, most, text));
  return number;
}

}  // namespace karreg::api
