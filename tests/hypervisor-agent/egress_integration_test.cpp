// karreg-egress as a process: a program in a network of its own, and what it reaches from there.
// Everything stays on this machine: names are those of loopback, and others are refused.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

#include "common/async/asio.hpp"
#include "support/programs.hpp"
#include "support/scratch.hpp"
#include "support/services.hpp"

using namespace karreg;
using namespace karreg::test;
using asio::ip::tcp;

namespace {

/// What @p script prints in a network from which the proxy reaches @p hosts.
std::string inside(const std::string& hosts, const std::string& script) {
  return run(program("karreg-egress") + " --hosts '" + hosts + "' -- /bin/sh -c \"" + script +
             "\" 2>&1")
      .output;
}

const std::string curl = "curl -sS --max-time 10 --proxy http://127.0.0.1:3128 ";

}  // namespace

TEST_CASE("from the network of a build nothing is reached but the proxy") {
  asio::io_context io;
  tcp::acceptor host(io, {asio::ip::make_address("127.0.0.1"), 0});
  const std::string port = std::to_string(host.local_endpoint().port());
  // The host's own loopback is not the one inside.
  const std::string said = inside("*", "curl -sS --max-time 5 http://127.0.0.1:" + port + "/");
  CHECK(said.find("Failed to connect") != std::string::npos);
  CHECK(inside("*", "cat /proc/net/route | wc -l") == "3\n");
}

TEST_CASE("the proxy refuses what the list does not have, and says so") {
  CHECK(inside("registry.example", curl + "http://other.example/x") ==
        "other.example is not among the hosts that builds may reach; the platform's operator lists "
        "them (agent.egress_hosts)\n");
  CHECK(inside("registry.example", curl + "https://other.example/").find("response 403") !=
        std::string::npos);
  CHECK(inside("*", curl + "http://localhost:5432/") ==
        "builds reach the ports 443 and 80 alone, not localhost:5432\n");
  CHECK(inside("*", curl + "http://127.0.0.1/") ==
        "builds reach hosts by their names alone, not 127.0.0.1:80\n");
}

TEST_CASE("a name that leads to this machine or its network leads nowhere") {
  CHECK(inside("*", curl + "http://localhost/") ==
        "localhost has no public address, and builds reach no others\n");
  CHECK(inside("localhost", curl + "https://localhost/").find("response 403") != std::string::npos);
}

TEST_CASE("what is no request is refused") {
  const auto answer = [](const std::string& text) {
    return inside("*", "printf '" + text + "' | curl -sS --max-time 5 telnet://127.0.0.1:3128")
        .substr(0, 12);
  };
  CHECK(answer("nonsense\\\\r\\\\n\\\\r\\\\n") == "HTTP/1.1 400");
  CHECK(answer("GET / HTTP/1.1\\\\r\\\\n\\\\r\\\\n") == "HTTP/1.1 400");
  CHECK(answer("CONNECT x HTTP/1.1\\\\r\\\\n\\\\r\\\\n") == "HTTP/1.1 400");
}

TEST_CASE("the end of the program is the end of the proxy, and its exit code is told") {
  CHECK(run(program("karreg-egress") + " --hosts '*' -- /bin/sh -c 'exit 7'").exit_code == 7);
  CHECK(run(program("karreg-egress") + " --hosts '*' -- /nowhere/program").exit_code == 127);
  CHECK(run(program("karreg-egress") + " --hosts '1.2.3.4' -- /bin/true").exit_code == 1);
}

TEST_CASE("a program in the background keeps the proxy until it ends") {
  const ScratchFolder scratch;
  const std::string pid_file = (scratch / "pid").string();
  // What it asks for while it is in the background goes through the proxy.
  const std::string script = "(while [ ! -e " + (scratch / "go").string() +
                             " ]; do sleep 0.05; done; " + curl + "http://localhost/ >" +
                             (scratch / "answer").string() +
                             "; sleep 0.2) >/dev/null 2>&1 & echo \\$! >" + pid_file;
  const auto started = run(program("karreg-egress") + " --hosts '*' --pid " + pid_file +
                           " -- /bin/sh -c \"" + script + "\"");
  REQUIRE(started.exit_code == 0);
  write_file(scratch / "go", "");
  eventually("the proxy has answered", [&] {
    return std::filesystem::exists(scratch / "answer") &&
           read_file(scratch / "answer").find("has no public address") != std::string::npos;
  });
  eventually("the proxy has ended",
             [&] { return run("pgrep -f '[k]arreg-egress.*" + pid_file + "'").exit_code == 1; });
}
