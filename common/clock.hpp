#pragma once
/// Time since 1970-01-01 00:00 UTC, as our messages and interfaces carry it.

#include <chrono>
#include <cstdint>

namespace karreg {

/// Now, in milliseconds.
inline std::int64_t unix_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}
/// Now, in nanoseconds.
inline std::int64_t unix_ns() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace karreg
