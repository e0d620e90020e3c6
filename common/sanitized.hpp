#pragma once

namespace karreg {

/// Whether this program was compiled with a sanitizer that needs system calls of its own.
constexpr bool sanitized() {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return true;
#endif
#endif
  return false;
}

}  // namespace karreg
