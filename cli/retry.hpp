#pragma once
/// Calls that are repeated while the platform does not answer, as when karreg-api starts again.

#include <chrono>
#include <type_traits>

#include "common/error.hpp"

namespace karreg::cli {

/// How long nobody's answer is waited for: karreg-api is back within a few seconds of an upgrade.
inline constexpr std::chrono::milliseconds patience{30'000};

/// Whether asking again may help: `unavailable` and `timeout`.
bool worth_a_retry(const Error& error);
/// A pause that grows with @p attempt (from 0): 0.5 s, 1 s, ... at most 5 s.
void pause_before_retry(int attempt);

/// What @p call answers; while that is an error worth a retry it is called again, with pauses, as
/// long as @p limit is not over. The last error otherwise.
template <class Call>
std::invoke_result_t<Call> patiently(Call call, std::chrono::milliseconds limit = patience) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (int attempt = 0;; ++attempt) {
    auto answer = call();
    if (answer || !worth_a_retry(answer.error()) || std::chrono::steady_clock::now() >= deadline)
      return answer;
    pause_before_retry(attempt);
  }
}

}  // namespace karreg::cli
