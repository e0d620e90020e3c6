#pragma once
// A forwarder on loopback whose connections break after so many bytes of the server, as often as
// the test says.

#include <array>
#include <atomic>
#include <boost/asio/write.hpp>
#include <memory>
#include <thread>

#include "common/async/asio.hpp"

namespace karreg::test {

class ShortRelay {
 public:
  explicit ShortRelay(std::uint16_t to)
      : to_(to), acceptor_(io_, {asio::ip::make_address("127.0.0.1"), 0}) {
    accept();
    thread_ = std::jthread([this] { io_.run(); });
  }
  ~ShortRelay() { io_.stop(); }

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  /// The next @p connections break after @p bytes of what the server says.
  void break_after(std::uint64_t bytes, int connections) {
    limit_ = bytes;
    to_break_ = connections;
  }
  int connections() const { return connections_; }
  /// Bytes of the server that went to clients, in all.
  std::uint64_t forwarded() const { return forwarded_; }

 private:
  using Socket = asio::ip::tcp::socket;
  struct Pair {
    explicit Pair(asio::io_context& io) : client(io), server(io) {}
    Socket client;
    Socket server;
    std::array<char, 16384> up{};
    std::array<char, 16384> down{};
    std::uint64_t left = UINT64_MAX;
  };
  void accept() {
    auto pair = std::make_shared<Pair>(io_);
    acceptor_.async_accept(pair->client, [this, pair](const error_code& ec) {
      if (ec) return;
      ++connections_;
      if (to_break_ > 0) {
        --to_break_;
        pair->left = limit_;
      }
      error_code failed;
      pair->server.connect({asio::ip::make_address("127.0.0.1"), to_}, failed);
      if (!failed) {
        up(pair);
        down(pair);
      }
      accept();
    });
  }
  void up(const std::shared_ptr<Pair>& pair) {
    pair->client.async_read_some(asio::buffer(pair->up),
                                 [this, pair](const error_code& ec, std::size_t n) {
                                   error_code failed = ec;
                                   if (!failed)
                                     asio::write(pair->server, asio::buffer(pair->up, n), failed);
                                   if (failed) return close(*pair);
                                   up(pair);
                                 });
  }
  void down(const std::shared_ptr<Pair>& pair) {
    pair->server.async_read_some(asio::buffer(pair->down),
                                 [this, pair](const error_code& ec, std::size_t n) {
                                   error_code failed = ec;
                                   n = std::min<std::uint64_t>(n, pair->left);
                                   pair->left -= n;
                                   forwarded_ += n;
                                   if (!failed)
                                     asio::write(pair->client, asio::buffer(pair->down, n), failed);
                                   if (failed || pair->left == 0) return close(*pair);
                                   down(pair);
                                 });
  }
  static void close(Pair& pair) {
    error_code ignored;
    pair.client.close(ignored);
    pair.server.close(ignored);
  }

  std::uint16_t to_;
  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_;
  std::atomic<std::uint64_t> limit_{0};
  std::atomic<int> to_break_{0};
  std::atomic<int> connections_{0};
  std::atomic<std::uint64_t> forwarded_{0};
  std::jthread thread_;
};

}  // namespace karreg::test
