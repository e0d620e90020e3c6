#pragma once
/// A proxy with ports of services in this process, whose ports the test opens as the master does.

#include <catch2/catch.hpp>

#include "reverse-proxy/listeners.hpp"
#include "reverse-proxy/loopback.hpp"

namespace karreg::proxy::testing {

inline constexpr std::uint16_t port_4000 = 4000;

/// What the access log was told.
struct Told : AccessSink {
  struct Line {
    std::string app, instance, protocol, ended_by, error;
    std::uint16_t port = 0;
    int attempts = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
  };
  std::mutex mutex;
  std::vector<Line> lines;

  void write(const AccessRecord& r) override {
    const std::lock_guard lock(mutex);
    lines.push_back({std::string(r.app), std::string(r.instance), std::string(r.protocol),
                     std::string(r.ended_by), std::string(r.error), r.port, r.attempts, r.bytes_in,
                     r.bytes_out});
  }
  std::uint64_t dropped() const override { return 0; }
  Line last() {
    REQUIRE(eventually([this] {
      const std::lock_guard lock(mutex);
      return !lines.empty();
    }));
    const std::lock_guard lock(mutex);
    const auto line = lines.back();
    lines.pop_back();
    return line;
  }
};

/// A proxy whose ports of TCP services are opened wherever there is a free one.
struct TcpLoopback : Told, Loopback {
  std::mutex ports_mutex;
  std::map<std::uint16_t, std::uint16_t> ports;      ///< number in the table -> where it listens
  std::map<std::uint16_t, std::uint16_t> udp_ports;  ///< the same for datagrams
  std::map<std::uint16_t, std::vector<Descriptor>> held;  ///< as the master does
  std::vector<std::set<std::uint16_t>> asked;
  std::vector<wire::TcpRoute> tcp_routes;

  explicit TcpLoopback(const ProxyOptions& options = {}) : Loopback(options) {
    log.also_tell(this);
    proxy.when_ports_change([this, workers = options.workers](const auto& needed) {
      const std::lock_guard lock(ports_mutex);
      asked.push_back(needed);
      std::erase_if(held, [&](const auto& entry) { return !needed.contains(entry.first); });
      for (const auto port : needed) {
        if (held.contains(port)) continue;
        std::vector<Descriptor> all;
        auto open = [&](auto open_some, std::map<std::uint16_t, std::uint16_t>& known) {
          auto opened = open_some(Endpoint{"127.0.0.1", 0}, workers, true, "test");
          if (!opened) throw std::runtime_error(opened.error().message());
          known[port] = port_of(opened->front());
          std::ranges::move(*opened, std::back_inserter(all));
        };
        open(open_listeners, ports);
        open(open_datagram_sockets, udp_ports);
        auto& kept = held[port];
        for (const auto& socket : all) kept.emplace_back(::dup(socket.get()));
        proxy.open_port(port, std::move(all));
      }
    });
  }
  ~TcpLoopback() override { proxy.stop(0ms); }
  TcpLoopback(const TcpLoopback&) = delete;
  TcpLoopback& operator=(const TcpLoopback&) = delete;

  /// To @p apps, of any kind that has an address.
  template <class AnyApp = App>
  static wire::TcpRoute a_tcp_route(std::uint16_t port, const std::vector<const AnyApp*>& apps,
                                    const std::string& app_id = "app_tcp") {
    wire::TcpRoute route{port, app_id, {}};
    for (const auto* app : apps) route.backends.push_back({"vm-" + app->address(), app->address()});
    return route;
  }
  /// Replaces all TCP routes.
  void use_tcp(std::vector<wire::TcpRoute> all) {
    tcp_routes = std::move(all);
    const auto table = RouteTable::from({++version, routes, 0, tcp_routes});
    REQUIRE(table);
    REQUIRE(proxy.use(*table));
  }
  void serve_tcp(const std::vector<const App*>& apps) { use_tcp({a_tcp_route(port_4000, apps)}); }
  Peer tcp() { return Peer::connect(ports.at(port_4000)); }
  int open() { return std::stoi(metric("tcp_open")); }
};

}  // namespace karreg::proxy::testing
