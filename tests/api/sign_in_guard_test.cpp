// How fast passwords may be guessed.
#include "api/auth/sign_in_guard.hpp"

#include <catch2/catch.hpp>

using namespace karreg::api;
using namespace std::chrono_literals;

namespace {
const SignInGuard::Time start{1h};

/// Tries at once, all bad; how many were let through.
int guesses(SignInGuard& guard, const std::string& address, const std::string& email, int count,
            SignInGuard::Time now = start) {
  int admitted = 0;
  for (int i = 0; i < count; ++i)
    if (guard.admit(address, email, now)) ++admitted;
  return admitted;
}
}  // namespace

TEST_CASE("five guesses at an e-mail address are free, then each doubles the wait") {
  SignInGuard guard;
  CHECK(guesses(guard, "10.0.0.1", "ann@example.org", 100) == 5);
  auto now = start;
  for (const auto wait : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    auto early = guard.admit("10.0.0.1", "ann@example.org", now + wait - 1ms);
    REQUIRE_FALSE(early);
    CHECK(early.error() == 1s);
    now += wait;
    CHECK(guard.admit("10.0.0.1", "ann@example.org", now));
  }
}

TEST_CASE("guesses from many addresses and in other letters count for the one e-mail address") {
  SignInGuard guard;
  for (int i = 0; i < 5; ++i)
    CHECK(guard.admit("10.0.0." + std::to_string(i), "ann@example.org", start));
  CHECK_FALSE(guard.admit("10.0.0.9", "Ann@Example.org", start));
  CHECK(guard.admit("10.0.0.9", "bob@example.org", start));
}

TEST_CASE("guesses at many e-mail addresses count for the one address they come from") {
  SignInGuard guard;
  int admitted = 0;
  for (int i = 0; i < 100; ++i)
    if (guard.admit("10.0.0.1", std::to_string(i) + "@example.org", start)) ++admitted;
  CHECK(admitted == 20);
  CHECK(guard.admit("10.0.0.2", "ann@example.org", start));
}

TEST_CASE("a good password settles the account") {
  SignInGuard guard;
  CHECK(guesses(guard, "10.0.0.1", "ann@example.org", 4) == 4);
  for (int i = 0; i < 50; ++i) {
    auto attempt = guard.admit("10.0.0.1", "ann@example.org", start);
    REQUIRE(attempt);
    attempt->good();
  }
  CHECK(guesses(guard, "10.0.0.1", "ann@example.org", 100) == 5);
}

TEST_CASE("tries at the same time are bounded, and are free again at their end") {
  SignInGuard guard(100, 2);
  {
    auto one = guard.admit("10.0.0.1", "a@example.org", start);
    auto two = guard.admit("10.0.0.2", "b@example.org", start);
    REQUIRE((one && two));
    auto three = guard.admit("10.0.0.3", "c@example.org", start);
    REQUIRE_FALSE(three);
    CHECK(three.error() == 1s);
  }
  CHECK(guard.admit("10.0.0.3", "c@example.org", start));
}

TEST_CASE("a quiet quarter of an hour is forgiven") {
  SignInGuard guard;
  guesses(guard, "10.0.0.1", "ann@example.org", 100);
  CHECK(guesses(guard, "10.0.0.1", "ann@example.org", 100, start + 15min) == 5);
}

TEST_CASE("of too many accounts the quietest are forgotten") {
  SignInGuard guard(10, 16);
  guesses(guard, "10.0.0.1", "ann@example.org", 100);
  for (int i = 0; i < 10; ++i)
    CHECK(guard.admit("10.0.1." + std::to_string(i), std::to_string(i) + "@example.org", start));
  CHECK(guard.admit("10.0.0.1", "ann@example.org", start));
}

TEST_CASE("a try goes on the account of the client, not of the TLS server before the API") {
  CHECK(guarded_address("10.0.0.1", "") == "10.0.0.1");
  CHECK(guarded_address("10.0.0.1", "10.9.9.9") == "10.0.0.1");
  CHECK(guarded_address("127.0.0.1", "") == "127.0.0.1");
  CHECK(guarded_address("127.0.0.1", "1.2.3.4, 10.9.9.9 ") == "10.9.9.9");
  CHECK(guarded_address("127.0.0.1", "nonsense") == "127.0.0.1");
  CHECK(guarded_address("2001:db8:1:2:3:4:5:6", "") == "2001:db8:1:2::/64");
  CHECK(guarded_address("2001:db8:1:2:ffff::", "") == "2001:db8:1:2::/64");
}
