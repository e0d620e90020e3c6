#include "images/guest/listening.hpp"

#include <catch2/catch.hpp>

using namespace karreg::guest;

namespace {
const std::string head =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n";
std::string row(const std::string& local, const std::string& state = "0A") {
  return "   0: " + local + " 00000000:0000 " + state +
         " 00000000:00000000 00:00000000 00000000  1000\n";
}
}  // namespace

TEST_CASE("whether the app can be reached is read from the kernel's tables") {
  const std::string none = head;
  CHECK(listening_on(8080, none, none) == Listening::nobody);
  CHECK(listening_on(8080, head + row("00000000:1F90"), none) == Listening::reachable);
  CHECK(listening_on(8080, head + row("0F02000A:1F90"), none) == Listening::reachable);
  CHECK(listening_on(8080, head + row("0100007F:1F90"), none) == Listening::loopback_only);
  CHECK(listening_on(8080, none, head + row("00000000000000000000000000000000:1F90")) ==
        Listening::reachable);
  CHECK(listening_on(8080, none, head + row("00000000000000000000000001000000:1F90")) ==
        Listening::loopback_only);
  CHECK(listening_on(8080, head + row("0100007F:1F90") + row("00000000:1F90"), none) ==
        Listening::reachable);
}

TEST_CASE("another port or a connection that is not listening does not count") {
  CHECK(listening_on(8080, head + row("00000000:1F91"), "") == Listening::nobody);
  CHECK(listening_on(8080, head + row("00000000:1F90", "01"), "") == Listening::nobody);
  CHECK(listening_on(8080, "garbage\n\n: x", "") == Listening::nobody);
}
