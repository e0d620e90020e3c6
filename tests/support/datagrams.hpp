#pragma once
/// Who sends and takes datagrams, on loopback.

#include <arpa/inet.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/descriptor.hpp"

namespace karreg::test {

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

class DatagramSocket {
 public:
  /// At any free port.
  DatagramSocket() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    auto address = loopback(0);
    if (!socket_ ||
        ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("no socket for datagrams");
  }
  std::uint16_t port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }
  bool send(std::uint16_t to, std::string_view datagram) const {
    return send(loopback(to), datagram);
  }
  bool send(const sockaddr_in& to, std::string_view datagram) const {
    return ::sendto(socket_.get(), datagram.data(), datagram.size(), 0,
                    reinterpret_cast<const sockaddr*>(&to), sizeof to) >= 0;
  }
  /// The next one and where it came from; nothing: none comes in time.
  std::optional<std::pair<std::string, sockaddr_in>> receive(
      std::chrono::milliseconds patience) const {
    const timeval time{patience.count() / 1000, patience.count() % 1000 * 1000};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    std::vector<char> room(65'536);
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const auto n = ::recvfrom(socket_.get(), room.data(), room.size(), 0,
                              reinterpret_cast<sockaddr*>(&from), &size);
    if (n < 0) return std::nullopt;
    return std::pair(std::string(room.data(), static_cast<std::size_t>(n)), from);
  }

 private:
  Descriptor socket_;
};

/// Answers each datagram as @c answer says; nothing: not at all.
class DatagramApp {
 public:
  using Answer = std::function<std::optional<std::string>(const std::string&)>;
  explicit DatagramApp(Answer answer) : answer_(std::move(answer)), thread_([this] { run(); }) {}
  /// Says @p name before what it got.
  explicit DatagramApp(const std::string& name)
      : DatagramApp([name](const std::string& got) { return name + ":" + got; }) {}
  ~DatagramApp() {
    ending_ = true;
    thread_.join();
  }
  DatagramApp(const DatagramApp&) = delete;
  DatagramApp& operator=(const DatagramApp&) = delete;
  std::string address() const { return "127.0.0.1:" + std::to_string(socket_.port()); }
  int received() const { return received_; }

 private:
  void run() {
    while (!ending_) {
      const auto got = socket_.receive(std::chrono::milliseconds(50));
      if (!got) continue;
      ++received_;
      if (const auto said = answer_(got->first)) socket_.send(got->second, *said);
    }
  }

  const DatagramSocket socket_;
  const Answer answer_;
  std::atomic<bool> ending_{false};
  std::atomic<int> received_{0};
  std::thread thread_;
};

}  // namespace karreg::test
