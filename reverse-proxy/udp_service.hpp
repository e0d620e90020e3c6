#pragma once
/// Datagrams to the port of a service. Each sender has a flow: a socket of its own to an instance,
/// through which answers come back, until both have been silent for a while. UDP says of no
/// datagram that it arrives, so what finds no place is dropped and counted, never kept.

#include <map>
#include <memory>
#include <string>

#include "common/descriptor.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

class UdpFlow;

/// One socket of a port, at one worker. The kernel gives all datagrams of a sender to the same one
/// of the port's sockets (SO_REUSEPORT).
class UdpService {
 public:
  /// Throws std::system_error when epoll does not take @p socket.
  UdpService(Worker& worker, std::uint16_t port, Descriptor socket);
  UdpService(const UdpService&) = delete;
  UdpService& operator=(const UdpService&) = delete;

  /// Takes datagrams until @p self leaves or is cut.
  static Task<void> serve(std::shared_ptr<UdpService> self);
  /// Takes none any more: they are another process's. Flows end when they are silent.
  void leave();
  /// Ends all.
  void cut(std::string_view why);
  /// Ends the flows whose time is over.
  void sweep(SteadyTime now);
  /// Nothing is left to do.
  bool is_over() const { return left_ && flows_.empty(); }

 private:
  friend class UdpFlow;
  class Receiving;
  /// As the kernel writes it.
  struct Sender {
    sockaddr_storage address{};
    socklen_t size = sizeof(sockaddr_storage);
    std::string_view key() const { return {reinterpret_cast<const char*>(&address), size}; }
  };
  Task<void> take();
  void pass(const Sender& from, std::span<const char> datagram);
  /// nullptr: no instance takes it, which is counted.
  UdpFlow* begin(const Sender& from);
  void send(const Sender& to, std::span<const char> datagram);

  Worker& worker_;
  const std::uint16_t port_;
  Socket socket_;
  bool left_ = false;
  std::map<std::string, UdpFlow*, std::less<>> flows_;  ///< by Sender::key()
  std::weak_ptr<UdpService> self_;
};

}  // namespace karreg::proxy
