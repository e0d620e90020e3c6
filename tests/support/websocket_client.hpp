#pragma once
// A WebSocket client (RFC 6455) written from the RFC, so that a server is not tested by the library
// it is made of. Blocking; every wait has its time.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace karreg::test {

class WebSocketClient {
 public:
  struct Frame {
    int opcode = 0;  ///< 1 text, 8 close, 9 ping
    std::string payload;
    /// Of a close frame.
    int code() const {
      return payload.size() < 2 ? 0
                                : static_cast<unsigned char>(payload[0]) * 256 +
                                      static_cast<unsigned char>(payload[1]);
    }
    std::string reason() const { return payload.size() < 2 ? "" : payload.substr(2); }
  };

  /// Connects and asks for the upgrade; head() is the answer.
  WebSocketClient(std::uint16_t port, const std::string& path) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(fd_ >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    // The example of RFC 6455 §1.3.
    put("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    while (read_.find("\r\n\r\n") == std::string::npos)
      if (!more(std::chrono::seconds(10))) break;
    const auto end = read_.find("\r\n\r\n");
    head_ = read_.substr(0, end);
    read_.erase(0, end == std::string::npos ? end : end + 4);
  }
  ~WebSocketClient() { close(fd_); }
  WebSocketClient(const WebSocketClient&) = delete;
  WebSocketClient& operator=(const WebSocketClient&) = delete;

  const std::string& head() const { return head_; }
  /// Whether the server switched and computed its proof rightly.
  bool open() const {
    return head_.starts_with("HTTP/1.1 101") &&
           head_.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") != std::string::npos;
  }

  void send(const std::string& text) { send_frame(1, text); }
  void send_frame(int opcode, const std::string& payload) {
    std::string frame(1, static_cast<char>(0x80 | opcode));
    if (payload.size() < 126) {
      frame += static_cast<char>(0x80 | payload.size());
    } else {
      REQUIRE(payload.size() < 65536);
      frame += static_cast<char>(0x80 | 126);
      frame += static_cast<char>(payload.size() >> 8U);
      frame += static_cast<char>(payload.size() & 0xffU);
    }
    const std::string mask = "\x01\x02\x03\x04";
    frame += mask;
    for (std::size_t i = 0; i < payload.size(); ++i)
      frame += static_cast<char>(payload[i] ^ mask[i % 4]);
    put(frame);
  }

  /// The next frame; none when the connection ended or within @p at_most.
  std::optional<Frame> next(std::chrono::milliseconds at_most = std::chrono::seconds(10)) {
    const auto deadline = std::chrono::steady_clock::now() + at_most;
    for (;;) {
      if (auto frame = take()) return frame;
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0 || !more(left)) return std::nullopt;
    }
  }

 private:
  void put(const std::string& bytes) {
    // A server that has closed already makes the rest pointless, not the test wrong.
    (void)::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  bool more(std::chrono::milliseconds at_most) {
    pollfd ready{fd_, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(at_most.count())) <= 0) return false;
    char buffer[4096];
    const auto n = recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    read_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }
  std::optional<Frame> take() {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(read_[i]); };
    if (read_.size() < 2) return std::nullopt;
    std::size_t header = 2;
    std::size_t length = byte(1) & 0x7fU;
    if (length == 126) {
      header = 4;
      if (read_.size() < header) return std::nullopt;
      length = byte(2) * 256U + byte(3);
    }
    REQUIRE(length < 65536);
    if (read_.size() < header + length) return std::nullopt;
    Frame frame{byte(0) & 0x0f, read_.substr(header, length)};
    read_.erase(0, header + length);
    return frame;
  }

  int fd_ = -1;
  std::string head_;
  std::string read_;
};

}  // namespace karreg::test
