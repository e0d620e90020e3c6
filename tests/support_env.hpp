#pragma once
/// Where integration tests find their real parts; ./dev test integration starts them and says so in
/// the environment.

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace karreg::test {

/// Value of the environment variable @p name; a test run outside of ./dev test fails with the way
/// to run it.
inline std::string required_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0')
    throw std::runtime_error(std::string(name) +
                             " is not set: run this through ./dev test integration");
  return value;
}

inline std::string database_url() {
  return required_environment("KARREG_TEST_DATABASE_URL");
}
inline std::string broker_url() {
  return required_environment("KARREG_TEST_BROKER");
}

}  // namespace karreg::test
