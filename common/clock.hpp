#pragma once
/// Time since 1970-01-01 00:00 UTC, as our messages and interfaces carry it.

#include <chrono>
#include <cstdint>

namespace karreg {

template <class Unit>
std::int64_t unix_time(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<Unit>(time.time_since_epoch()).count();
}
/// Now, in milliseconds.
inline std::int64_t unix_ms() {
  return unix_time<std::chrono::milliseconds>(std::chrono::system_clock::now());
}
/// Now, in nanoseconds.
inline std::int64_t unix_ns() {
  return unix_time<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

}  // namespace karreg
