#include "cli/retry.hpp"

#include <algorithm>
#include <thread>

namespace karreg::cli {

using namespace std::chrono_literals;

bool worth_a_retry(const Error& error) {
  return error.kind() == ErrorKind::unavailable || error.kind() == ErrorKind::timeout;
}

void pause_before_retry(int attempt) {
  std::this_thread::sleep_for(std::min(500ms * (1 << std::min(attempt, 4)), 5000ms));
}

}  // namespace karreg::cli
