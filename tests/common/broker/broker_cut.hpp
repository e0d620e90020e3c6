#pragma once

#include <mutex>
#include <thread>
#include <vector>

#include "common/async/asio.hpp"
#include "common/broker/settings.hpp"

/// A forwarder on loopback between a client and the broker, whose connections the test can cut at
/// any moment.
class Cut {
 public:
  explicit Cut(karreg::broker::Address to)
      : to_(std::move(to)), acceptor_(io_, {boost::asio::ip::make_address("127.0.0.1"), 0}) {
    accept();
    thread_ = std::jthread([this] { io_.run(); });
  }
  ~Cut() { io_.stop(); }
  karreg::broker::Address address() const {
    auto address = to_;
    address.host = "127.0.0.1";
    address.port = acceptor_.local_endpoint().port();
    return address;
  }
  void cut_all() {
    boost::asio::post(io_, [this] {
      for (auto& weak : pairs_)
        if (auto pair = weak.lock()) {
          boost::system::error_code ignored;
          pair->client.close(ignored);
          pair->server.close(ignored);
        }
      pairs_.clear();
    });
  }

 private:
  using Socket = boost::asio::ip::tcp::socket;
  struct Pair {
    explicit Pair(boost::asio::io_context& io) : client(io), server(io) {}
    Socket client;
    Socket server;
    std::array<char, 16384> up{};
    std::array<char, 16384> down{};
  };
  void accept() {
    auto pair = std::make_shared<Pair>(io_);
    acceptor_.async_accept(pair->client, [this, pair](boost::system::error_code ec) {
      if (ec) return;
      boost::system::error_code failed;
      pair->server.connect(
          {boost::asio::ip::make_address(to_.host), static_cast<std::uint16_t>(to_.port)}, failed);
      if (!failed) {
        pairs_.push_back(pair);
        pump(pair, pair->client, pair->server, pair->up);
        pump(pair, pair->server, pair->client, pair->down);
      }
      accept();
    });
  }
  static void pump(std::shared_ptr<Pair> pair, Socket& from, Socket& to,
                   std::array<char, 16384>& buffer) {
    from.async_read_some(boost::asio::buffer(buffer),
                         [pair, &from, &to, &buffer](boost::system::error_code ec, std::size_t n) {
                           boost::system::error_code failed = ec;
                           std::size_t sent = 0;
                           while (!failed && sent < n)
                             sent += to.write_some(
                                 boost::asio::buffer(buffer.data() + sent, n - sent), failed);
                           if (failed) {
                             boost::system::error_code ignored;
                             from.close(ignored);
                             to.close(ignored);
                             return;
                           }
                           pump(pair, from, to, buffer);
                         });
  }

  karreg::broker::Address to_;
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::vector<std::weak_ptr<Pair>> pairs_;
  std::jthread thread_;
};
