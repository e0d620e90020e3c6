// The sockets that the master holds for TCP services.
#include "reverse-proxy/master/tcp_ports.hpp"

#include <catch2/catch.hpp>

#include "common/json.hpp"
#include "reverse-proxy/listeners.hpp"
#include "reverse-proxy/loopback.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;

namespace {

constexpr std::uint16_t wanted = 150;
constexpr int sockets_each = 2;
/// For connections and for datagrams.
constexpr int kinds = 2;

/// So many ports in a row at which nobody listens, below those that the kernel gives out by itself.
PortRange free_ports() {
  for (auto first = static_cast<std::uint16_t>(10'000 + ::getpid() % 100 * 150); first < 30'000;
       first = static_cast<std::uint16_t>(first + wanted)) {
    bool all = true;
    for (std::uint16_t i = 0; i < wanted && all; ++i)
      all = open_listeners({"127.0.0.1", static_cast<std::uint16_t>(first + i)}, 1, false, "test")
                .has_value();
    if (all) return {first, static_cast<std::uint16_t>(first + wanted - 1)};
  }
  throw std::runtime_error("no free ports");
}

std::string list_of(const PortRange& range) {
  std::string list;
  for (int port = range.first; port <= range.last; ++port)
    list += (list.empty() ? "" : ",") + std::to_string(port);
  return list;
}

/// What processes are told.
struct Heard {
  struct Message {
    int process = 0;
    std::string text;
    std::vector<int> descriptors;
  };
  std::vector<Message> messages;
  bool deaf = false;

  TcpPorts::Tell tell() {
    return [this](int process, const std::string& text, std::span<const int> descriptors) {
      if (deaf) return false;
      messages.push_back({process, text, {descriptors.begin(), descriptors.end()}});
      return true;
    };
  }
  std::size_t sockets() const {
    std::size_t count = 0;
    for (const auto& message : messages) count += message.descriptors.size();
    return count;
  }
};

const auto now = std::chrono::steady_clock::now();

}  // namespace

TEST_CASE("sockets of many ports are handed over piece by piece, each once") {
  const auto range = free_ports();
  Heard heard;
  TcpPorts ports("127.0.0.1", range, sockets_each, heard.tell());
  ports.needs(1, list_of(range), now);
  REQUIRE(heard.messages.size() == 1);
  CHECK(heard.sockets() == 200);
  // The next ones when these are taken.
  ports.needs(1, list_of(range), now);
  CHECK(heard.messages.size() == 1);
  ports.taken(1, now);
  CHECK(heard.messages.size() == 2);
  ports.taken(1, now);
  CHECK(heard.messages.size() == 3);
  CHECK(heard.sockets() == 600);
  ports.taken(1, now);
  CHECK(heard.messages.size() == 3);
  std::map<std::uint16_t, int> given;
  int for_datagrams = 0;
  for (const auto& message : heard.messages)
    for (const int socket : message.descriptors) {
      const Descriptor copy(::dup(socket));
      ++given[port_of(copy)];
      if (is_for_datagrams(copy)) ++for_datagrams;
    }
  CHECK(given.size() == wanted);
  CHECK(std::ranges::all_of(given,
                            [](const auto& port) { return port.second == kinds * sockets_each; }));
  CHECK(for_datagrams == wanted * sockets_each);
  CHECK(heard.messages.front().text.starts_with("tcp-sockets " + std::to_string(range.first) + "," +
                                                std::to_string(range.first) + ","));
  // One more worker, by a new process: what is missing is opened, and only it gets it.
  TcpPorts more("127.0.0.1", range, sockets_each + 1, heard.tell());
  heard.messages.clear();
  ports.keep_on_exec(true);
  more.adopt(ports.state(), now);
  CHECK(heard.messages.empty());
  more.needs(2, std::to_string(range.first), now);
  REQUIRE(heard.messages.size() == 1);
  CHECK(heard.messages.front().process == 2);
  CHECK(heard.messages.front().descriptors.size() == kinds * (sockets_each + 1));
}

TEST_CASE("whose datagrams somebody else has, gets connections all the same") {
  const auto range = free_ports();
  auto other = open_datagram_sockets({"127.0.0.1", range.first}, 1, true, "test");
  REQUIRE(other);
  Heard heard;
  TcpPorts ports("127.0.0.1", range, sockets_each, heard.tell());
  ports.needs(1, std::to_string(range.first), now);
  CHECK(heard.sockets() == sockets_each);
  other->clear();
  // The next process has both.
  ports.needs(2, std::to_string(range.first), now);
  REQUIRE(heard.messages.size() == 2);
  CHECK(heard.messages.back().process == 2);
  CHECK(heard.messages.back().descriptors.size() == kinds * sockets_each);
}

TEST_CASE("a process that did not hear is told again") {
  const auto range = free_ports();
  Heard heard;
  TcpPorts ports("127.0.0.1", range, 1, heard.tell());
  heard.deaf = true;
  ports.needs(1, std::to_string(range.first), now);
  CHECK(ports.next() == now + 5s);
  heard.deaf = false;
  ports.pass(now + 4s);
  CHECK(heard.messages.empty());
  ports.pass(now + 5s);
  CHECK(heard.sockets() == kinds);
  CHECK(ports.next() == TcpPorts::Time::max());
}

TEST_CASE("no process gets a port outside the range, whatever it says") {
  const auto range = free_ports();
  Heard heard;
  const PortRange allowed{range.first, range.first};
  TcpPorts ports("127.0.0.1", allowed, 1, heard.tell());
  ports.needs(1, list_of(range) + ",0,65535,99999,x", now);
  CHECK(heard.sockets() == kinds);
  CHECK(std::ranges::count_if(heard.messages, [&](const auto& message) {
          return message.text.ends_with(" it is not among those of setting tcp.ports, " +
                                        std::to_string(range.first) + "-" +
                                        std::to_string(range.first));
        }) == wanted - 1 + 2);
  Heard nobody;
  TcpPorts none("", range, 1, nobody.tell());
  none.needs(1, std::to_string(range.first), now);
  REQUIRE(nobody.messages.size() == 1);
  CHECK(nobody.messages.front().text ==
        "tcp-refused " + std::to_string(range.first) + " setting proxy.tcp_listen is empty");
}
