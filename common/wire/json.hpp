#pragma once
/// Wire types to text and back, without exceptions past this edge.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/error.hpp"

namespace karreg::wire {

/// Compact JSON; invalid UTF-8 becomes U+FFFD.
template <class T>
std::string to_text(const T& value) {
  return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Error `invalid` with the parser's or the field's message; @p what names the message for the
/// reader ("HostReport").
template <class T>
Result<T> from_text(std::string_view text, std::string_view what) {
  auto j = nlohmann::json::parse(text, nullptr, false);
  if (j.is_discarded()) return Error(ErrorKind::invalid, std::string(what) + " is not valid JSON");
  try {
    return j.get<T>();
  } catch (const nlohmann::json::exception& e) {
    return Error(ErrorKind::invalid, std::string(what) + ": " + e.what());
  }
}

}  // namespace karreg::wire
