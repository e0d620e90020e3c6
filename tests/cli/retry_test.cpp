#include "cli/retry.hpp"

#include <catch2/catch.hpp>

using namespace karreg;
using namespace karreg::cli;
using namespace std::chrono_literals;

namespace {

/// Answers with the errors of @p kinds one after the other, then with 7.
struct Platform {
  std::vector<ErrorKind> kinds;
  std::size_t calls = 0;
  Result<int> operator()() {
    if (calls < kinds.size()) return Error(kinds[calls++], "not now");
    ++calls;
    return 7;
  }
};

}  // namespace

TEST_CASE("a platform that does not answer is asked again until it does") {
  Platform platform{{ErrorKind::unavailable, ErrorKind::timeout}};
  const auto answer = patiently(std::ref(platform));
  REQUIRE(answer);
  CHECK(*answer == 7);
  CHECK(platform.calls == 3);
}

TEST_CASE("patience ends, and a plain no is not asked about again") {
  Platform away{{ErrorKind::unavailable, ErrorKind::unavailable}};
  CHECK(patiently(std::ref(away), 0ms).error().kind() == ErrorKind::unavailable);
  CHECK(away.calls == 1);

  Platform refusing{{ErrorKind::not_found}};
  CHECK(patiently(std::ref(refusing)).error().kind() == ErrorKind::not_found);
  CHECK(refusing.calls == 1);
}
