#pragma once

#include <cstdint>

#include "common/error.hpp"

namespace karreg::agent {

/// Runs a loop of 20 000 rounds in real mode on a bare virtual processor of /dev/kvm: the
/// microseconds it took. Error `unavailable` with what KVM refuses. May hang on a broken KVM: for a
/// child process with a deadline.
Result<std::int64_t> kvm_loop();

}  // namespace karreg::agent
