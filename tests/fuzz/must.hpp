#pragma once
/// What a fuzz target claims.

#include <cstdlib>

namespace karreg::fuzz {

/// Ends the program where @p holds is false: libFuzzer keeps the input that did it.
inline void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace karreg::fuzz
