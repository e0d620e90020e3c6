#include <catch2/catch.hpp>
#include <set>
#include <thread>

#include "common/cidr.hpp"
#include "reverse-proxy/rules/basic_auth.hpp"
#include "reverse-proxy/rules/in_hand.hpp"
#include "reverse-proxy/rules/pace.hpp"
#include "reverse-proxy/rules/visitor_key.hpp"

using namespace karreg::proxy;
using karreg::parse_ip;
using rules::Pace;
using rules::SteadyClock;
using namespace std::chrono_literals;

namespace {
const SteadyClock::time_point start{1'000'000s};
const Pace two_a_second({.requests = 2, .seconds = 1, .burst = 3});

/// How many of @p n requests at one moment pass.
template <class Take>
int passed(int n, Take take) {
  int count = 0;
  for (int i = 0; i < n; ++i)
    if (!take()) ++count;
  return count;
}
}  // namespace

TEST_CASE("a burst passes at once, then as many as the rate allows, and the wait is told") {
  rules::AppPace app;
  auto take = [&](SteadyClock::duration after) { return app.take(two_a_second, start + after); };
  CHECK(passed(10, [&] { return take(0s); }) == 3);
  CHECK(take(0s) == 500ms);
  CHECK(take(499ms) == 1ms);
  CHECK(take(500ms) == std::nullopt);
  CHECK(take(500ms) == 500ms);
  CHECK(passed(10, [&] { return take(1500ms); }) == 2);
  // A bucket is never fuller than full.
  CHECK(passed(10, [&] { return take(1h); }) == 3);
}

TEST_CASE("each visitor has a bucket of his own") {
  rules::VisitorPaces paces;
  const auto take = [&](const char* address, SteadyClock::duration after) {
    return paces.take(two_a_second, rules::visitor_key(parse_ip(address), paces.secret()),
                      start + after);
  };
  CHECK(passed(5, [&] { return take("192.0.2.1", 0s); }) == 3);
  CHECK(passed(5, [&] { return take("192.0.2.2", 0s); }) == 3);
  CHECK(take("192.0.2.1", 250ms) == 250ms);
  CHECK(take("192.0.2.1", 500ms) == std::nullopt);
}

TEST_CASE("more visitors than there are buckets take no memory, and pass rather than not") {
  rules::VisitorPaces paces;
  const Pace once({.requests = 1, .seconds = 3600, .burst = 1});
  int refused = 0;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    karreg::IpAddress address = *parse_ip("10.0.0.0");
    address.bytes[13] = static_cast<std::uint8_t>(i >> 16U);
    address.bytes[14] = static_cast<std::uint8_t>(i >> 8U);
    address.bytes[15] = static_cast<std::uint8_t>(i);
    if (paces.take(once, rules::visitor_key(address, paces.secret()), start)) ++refused;
  }
  // One in some 8000 shares a bucket: 12 of 100 000, give or take.
  CHECK(refused < 60);
}

TEST_CASE("workers that count together let no more pass than the rate") {
  rules::VisitorPaces paces;
  const Pace burst({.requests = 1, .seconds = 3600, .burst = 1000});
  const auto key = rules::visitor_key(parse_ip("192.0.2.1"), paces.secret());
  std::array<int, 4> counts{};
  {
    std::vector<std::jthread> workers;
    for (auto& count : counts)
      workers.emplace_back(
          [&] { count = passed(1000, [&] { return paces.take(burst, key, start); }); });
  }
  // When others change the set eight times in a row, one passes uncounted.
  const int all = counts[0] + counts[1] + counts[2] + counts[3];
  CHECK(all >= 1000);
  CHECK(all <= 1050);
}

TEST_CASE("a visitor is an IPv4 address, or an IPv6 network of 64 bits") {
  auto key = [](const char* address, std::uint64_t secret = 7) {
    return rules::visitor_key(parse_ip(address), secret);
  };
  CHECK(key("192.0.2.1") != key("192.0.2.2"));
  CHECK(key("2001:db8::1") == key("2001:db8::ffff:1"));
  CHECK(key("2001:db8::1") != key("2001:db8:0:1::1"));
  CHECK(key("192.0.2.1") == key("::ffff:192.0.2.1"));
  CHECK(key("192.0.2.1") != key("192.0.2.1", 8));
}

TEST_CASE("no more requests are in hand than allowed, and places that are left can be taken") {
  const auto app = std::make_shared<rules::AppInHand>();
  const auto visitors = std::make_shared<rules::VisitorsInHand>();
  const auto one = rules::visitor_key(parse_ip("192.0.2.1"), visitors->secret());
  const auto other = rules::visitor_key(parse_ip("192.0.2.2"), visitors->secret());
  rules::Places first;
  rules::Places second;
  CHECK(first.enter(visitors, 1, one));
  CHECK_FALSE(second.enter(visitors, 1, one));
  CHECK(second.enter(visitors, 1, other));
  CHECK(first.enter(app, 1));
  CHECK_FALSE(second.enter(app, 1));
  first.leave();
  CHECK(second.enter(app, 1));
  {
    rules::Places third;
    CHECK(third.enter(visitors, 1, one));
  }
  rules::Places fourth;
  CHECK(fourth.enter(visitors, 1, one));
}

TEST_CASE("a name and a password are read as RFC 7617 writes them") {
  auto read = [](std::string_view value) {
    const auto credentials = rules::read_basic(value);
    return credentials ? credentials->user + "|" + credentials->password : "none";
  };
  CHECK(read("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==") == "Aladdin|open sesame");
  CHECK(read("basic  YTo=") == "a|");
  CHECK(read("Basic YTpiOmM=") == "a|b:c");
  CHECK(read("Bearer YTo=") == "none");
  CHECK(read("Basic") == "none");
  CHECK(read("Basic YQ==") == "none");
  CHECK(read("Basic %%%") == "none");
  CHECK(read("Basic YQA6Yg==") == "none");
}

TEST_CASE("a path that needs no password is that path, however an application reads it") {
  const std::vector<std::string> except{"/health", "/open/"};
  for (const char* path : {"/health", "/open/", "/open/a", "/open/a%20b/c.d", "/open/..a/.b"})
    CHECK(rules::is_excepted(except, path));
  for (const char* path :
       {"/", "/healthy", "/health/", "/open", "/open/../admin", "/open/./a", "/open/..",
        "/open/%2e%2E/admin", "/open/..%2fadmin", "/open/..%5cadmin", "/open/..\\admin",
        "/open/..;/admin", "/open/%252e%252e/admin", "/open/a%", "/OPEN/a"})
    CHECK_FALSE(rules::is_excepted(except, path));
}

TEST_CASE("a password is the one of its hash, be that bcrypt or SHA-512 crypt") {
  // The vectors of libxcrypt's and glibc's own tests.
  const std::string bcrypt = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
  CHECK(rules::verify_crypt("U*U", bcrypt));
  CHECK_FALSE(rules::verify_crypt("U*V", bcrypt));
  const std::string sha512 =
      "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoE"
      "OfaS35inz1";
  CHECK(rules::verify_crypt("Hello world!", sha512));
  CHECK_FALSE(rules::verify_crypt("Hello world", sha512));
  CHECK_FALSE(rules::verify_crypt("x", "*"));
}
