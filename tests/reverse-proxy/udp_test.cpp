// Datagrams to the ports of services reach instances, and their answers the senders.
#include "reverse-proxy/port_loopback.hpp"
#include "support/datagrams.hpp"

using namespace karreg;
using namespace karreg::proxy;
using namespace karreg::proxy::testing;
using test::DatagramApp;
using test::DatagramSocket;

namespace {

wire::Backend backend(const std::string& address) {
  return {"vm-" + address, address};
}

struct UdpLoopback : TcpLoopback {
  using TcpLoopback::TcpLoopback;
  void serve_udp(const std::vector<const DatagramApp*>& apps) {
    use_tcp({a_tcp_route(port_4000, apps, "app_udp")});
  }
  std::uint16_t port() { return udp_ports.at(port_4000); }
  /// What comes back; "nothing" when nothing does.
  std::string ask(const DatagramSocket& client, const std::string& datagram,
                  std::chrono::milliseconds patience = 10s) {
    REQUIRE(client.send(port(), datagram));
    const auto answer = client.receive(patience);
    if (!answer) return "nothing";
    CHECK(ntohs(answer->second.sin_port) == port());
    return answer->first;
  }
  int count(const std::string& name) { return std::stoi(metric(name)); }
};

}  // namespace

TEST_CASE("a datagram to the port of a service reaches an instance, and the answer its sender") {
  ProxyOptions options;
  options.workers = 2;
  options.limits.udp_idle_time = 300ms;
  const DatagramApp app("one");
  UdpLoopback loop(options);
  loop.serve_udp({&app});
  const DatagramSocket client;
  CHECK(loop.ask(client, "ping") == "one:ping");
  CHECK(loop.ask(client, "") == "one:");
  CHECK(loop.count("udp_open") == 1);
  CHECK(loop.proxy.in_use().draining.empty());
  // It is told of when it has been silent.
  const auto line = loop.last();
  CHECK(line.app == "app_udp");
  CHECK(line.instance == "vm-" + app.address());
  CHECK(line.protocol == "udp");
  CHECK(line.port == port_4000);
  CHECK(line.bytes_in == 4);
  CHECK(line.bytes_out == 12);
  CHECK(line.error.empty());
  CHECK(eventually([&] { return loop.count("udp_open") == 0; }));
  CHECK(loop.count("udp_flows_total") == 1);
  CHECK(loop.count("udp_dropped_total") == 0);
  CHECK(loop.metric("app_bytes_out_total{app=\"app_udp\"}") == "12");
  // And is welcome again.
  CHECK(loop.ask(client, "back") == "one:back");
}

TEST_CASE("datagrams stay what they are, whatever their size") {
  const DatagramApp app([](const std::string& got) { return got; });
  UdpLoopback loop;
  loop.serve_udp({&app});
  const DatagramSocket client;
  for (const auto size : {0UL, 1UL, 1'472UL, 1'473UL, 9'000UL, 65'507UL}) {
    INFO(size);
    std::string datagram(size, 'x');
    for (std::size_t i = 0; i < size; ++i) datagram[i] = static_cast<char>(i * 31 % 251);
    CHECK(loop.ask(client, datagram) == datagram);
  }
  // One after the other without waiting: none is joined with the next.
  for (int i = 0; i < 20; ++i) REQUIRE(client.send(loop.port(), std::to_string(i)));
  for (int i = 0; i < 20; ++i) {
    const auto got = client.receive(10s);
    REQUIRE(got);
    CHECK(got->first == std::to_string(i));
  }
}

TEST_CASE("a sender stays with its instance, and senders are spread over all") {
  const DatagramApp blue("blue");
  const DatagramApp green("green");
  ProxyOptions options;
  options.workers = 2;
  UdpLoopback loop(options);
  loop.serve_udp({&blue, &green});
  std::map<std::string, int> served;
  std::vector<DatagramSocket> clients(40);
  std::vector<std::string> first;
  for (const auto& client : clients) first.push_back(loop.ask(client, "x"));
  for (const auto& answer : first) ++served[answer];
  CHECK(served.size() == 2);
  CHECK(served["blue:x"] > 5);
  CHECK(served["green:x"] > 5);
  for (std::size_t i = 0; i < clients.size(); ++i) CHECK(loop.ask(clients[i], "x") == first[i]);
  CHECK(loop.count("udp_flows_total") == 40);
}

TEST_CASE("a sender gets another instance when its own takes no datagrams") {
  const DatagramApp app("here");
  const auto gone = [] {
    const DatagramSocket closed;
    return "127.0.0.1:" + std::to_string(closed.port());
  }();
  UdpLoopback loop;
  wire::TcpRoute route{port_4000, "app_udp", {backend(gone), backend(app.address())}};
  loop.use_tcp({route});
  // Who asks by datagrams asks again.
  for (int i = 0; i < 20; ++i) {
    const DatagramSocket client;
    CHECK(eventually([&] { return loop.ask(client, "x", 100ms) == "here:x"; }));
  }
  CHECK(loop.count("udp_failures_total") >= 1);
  CHECK(loop.count("set_aside_total") >= 1);
}

TEST_CASE("what finds no instance is dropped and counted") {
  UdpLoopback loop;
  loop.serve_udp({});
  const DatagramSocket client;
  CHECK(loop.ask(client, "x", 100ms) == "nothing");
  CHECK(eventually([&] { return loop.count("udp_no_backend_total") == 1; }));
  CHECK(loop.count("udp_dropped_total") == 1);
  const DatagramApp app("late");
  loop.serve_udp({&app});
  CHECK(loop.ask(client, "x") == "late:x");
}

TEST_CASE("senders without end are bounded, and forgotten when nobody answers them") {
  ProxyOptions options;
  options.limits.connections = 10;
  options.limits.app_share_percent = GENERATE(50, 100);
  options.limits.udp_idle_time = 300ms;
  const auto most = options.limits.app_share_percent / 10;
  const DatagramApp mute([](const std::string& got) -> std::optional<std::string> {
    return got == "speak" ? std::optional(got) : std::nullopt;
  });
  UdpLoopback loop(options);
  loop.serve_udp({&mute});
  const std::vector<DatagramSocket> many(30);
  for (const auto& client : many) REQUIRE(client.send(loop.port(), "x"));
  CHECK(eventually([&] { return mute.received() == most; }));
  CHECK(eventually([&] { return loop.count("udp_dropped_total") == 30 - most; }));
  CHECK(loop.count("udp_flows_total") == most);
  CHECK(eventually([&] { return loop.count("udp_open") == 0; }));
  const DatagramSocket client;
  CHECK(loop.ask(client, "speak") == "speak");
}

TEST_CASE("after a switch new senders go to the new instance, and the old one keeps who talks") {
  const DatagramApp blue("blue");
  const DatagramApp green("green");
  UdpLoopback loop;
  loop.serve_udp({&blue});
  const DatagramSocket old_client;
  CHECK(loop.ask(old_client, "a") == "blue:a");
  loop.serve_udp({&green});
  const std::map<std::string, int> draining{{"vm-" + blue.address(), 1}};
  CHECK(loop.proxy.in_use().draining == draining);
  CHECK(loop.ask(old_client, "b") == "blue:b");
  const DatagramSocket client;
  CHECK(loop.ask(client, "c") == "green:c");
  // Silent for a moment, it is the new one's.
  CHECK(eventually([&] { return loop.proxy.in_use().draining.empty(); }));
  CHECK(loop.ask(old_client, "d") == "green:d");
}

TEST_CASE("a port that is given back takes no datagrams, also of those who talk") {
  const DatagramApp app("one");
  UdpLoopback loop;
  loop.serve_udp({&app});
  const DatagramSocket client;
  CHECK(loop.ask(client, "a") == "one:a");
  const auto port = loop.port();
  loop.use_tcp({});
  CHECK(eventually([&] { return loop.count("udp_open") == 0; }));
  CHECK(loop.last().error == "its port was given back");
  REQUIRE(client.send(port, "b"));
  CHECK_FALSE(client.receive(100ms));
  CHECK(app.received() == 1);
}

TEST_CASE("a proxy that stops forgets its senders soon") {
  const DatagramApp app("one");
  UdpLoopback loop;
  loop.serve_udp({&app});
  const DatagramSocket client;
  CHECK(loop.ask(client, "a") == "one:a");
  CHECK(loop.proxy.stop(10s) == 0);
  CHECK(loop.last().error.empty());
}
