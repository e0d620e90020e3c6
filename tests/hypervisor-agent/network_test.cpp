#include "hypervisor-agent/network.hpp"

#include <sys/wait.h>

#include <csignal>
#include <set>

#include "support.hpp"

using namespace karreg;
using namespace karreg::agent;

TEST_CASE("addresses lie under the prefix and are not in use", "[agent]") {
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const auto address = free_address("127.65", inbound_ports(8080));
    REQUIRE(address);
    CHECK(address->starts_with("127.65."));
    error_code ec;
    const auto parsed = asio::ip::make_address_v4(*address, ec);
    REQUIRE_FALSE(ec);
    CHECK(parsed.is_loopback());
    seen.insert(*address);
  }
  CHECK(seen.size() > 190);
}

TEST_CASE("an address whose port is taken is not given out", "[agent]") {
  // All of 127.0.0.0/8 at this port, by the wildcard address.
  asio::io_context io;
  asio::ip::tcp::acceptor everywhere(io, {asio::ip::tcp::v4(), 0});
  const int taken = everywhere.local_endpoint().port();
  // Also when it is where TCP services are reached.
  for (const auto& ports : {std::vector<int>{taken}, {0, taken}}) {
    const auto address = free_address("127.65", ports);
    REQUIRE_FALSE(address);
    CHECK(address.error().message() == "no free address under 127.65.0.0");
  }
}

TEST_CASE("a process number in a pid file that belongs to somebody else is left alone", "[agent]") {
  test::TempFolder folder;
  const VmFiles files(test::settings_in(folder.path()), "i");
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::execl("/bin/sleep", "sleep", "60", nullptr);
    ::_exit(127);
  }
  test::write(files.network_pid(), std::to_string(child) + "\n");
  stop_passt(files);
  // A signal, had there been one, is delivered in order before this.
  CHECK(::waitpid(child, nullptr, WNOHANG) == 0);
  ::kill(child, SIGKILL);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WTERMSIG(status) == SIGKILL);
}
