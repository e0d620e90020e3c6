#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "common/async/asio.hpp"
#include "common/broker/settings.hpp"

/// A forwarder on loopback between a client and the broker, whose connections the test can cut, or
/// whose broker it can make mute, at any moment.
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
  /// While mute, nothing that the broker says goes on; it does so afterwards.
  void mute(bool mute) { mute_ = mute; }
  void cut_all() {
    boost::asio::post(io_, [this] { close_pairs(); });
  }
  /// Cuts all connections and every new one, until come_back().
  void go_away() {
    boost::asio::post(io_, [this] {
      away_ = true;
      close_pairs();
    });
  }
  void come_back() {
    boost::asio::post(io_, [this] { away_ = false; });
  }
  /// Waits until so many connections were tried while it was away; false after @p limit.
  bool wait_refused(int count, std::chrono::seconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return refused_ >= count; });
  }

 private:
  using Socket = boost::asio::ip::tcp::socket;
  struct Pair {
    explicit Pair(boost::asio::io_context& io) : client(io), server(io), pause(io) {}
    Socket client;
    Socket server;
    boost::asio::steady_timer pause;
    std::array<char, 16384> up{};
    std::array<char, 16384> down{};
  };
  void close_pairs() {
    for (auto& weak : pairs_)
      if (auto pair = weak.lock()) {
        boost::system::error_code ignored;
        pair->client.close(ignored);
        pair->server.close(ignored);
      }
    pairs_.clear();
  }
  void accept() {
    auto pair = std::make_shared<Pair>(io_);
    acceptor_.async_accept(pair->client, [this, pair](boost::system::error_code ec) {
      if (ec) return;
      if (away_) {
        const std::lock_guard lock(mutex_);
        ++refused_;
        changed_.notify_all();
        accept();  // and the pair goes, with its connection
        return;
      }
      boost::system::error_code failed;
      pair->server.connect(
          {boost::asio::ip::make_address(to_.host), static_cast<std::uint16_t>(to_.port)}, failed);
      if (!failed) {
        pairs_.push_back(pair);
        pump(pair, pair->client, pair->server, pair->up);
        down(pair);
      }
      accept();
    });
  }
  /// As pump(), but what comes while the broker is mute waits here.
  void down(const std::shared_ptr<Pair>& pair) {
    if (mute_) {
      pair->pause.expires_after(std::chrono::milliseconds(20));
      pair->pause.async_wait([this, pair](boost::system::error_code) { down(pair); });
      return;
    }
    pair->server.async_read_some(
        boost::asio::buffer(pair->down),
        [this, pair](boost::system::error_code ec, std::size_t n) { forward(pair, ec, n, 0); });
  }
  void forward(const std::shared_ptr<Pair>& pair, boost::system::error_code ec, std::size_t n,
               std::size_t sent) {
    if (mute_ && !ec) {
      pair->pause.expires_after(std::chrono::milliseconds(20));
      pair->pause.async_wait(
          [this, pair, n, sent](boost::system::error_code late) { forward(pair, late, n, sent); });
      return;
    }
    while (!ec && sent < n)
      sent += pair->client.write_some(boost::asio::buffer(pair->down.data() + sent, n - sent), ec);
    if (!ec) return down(pair);
    boost::system::error_code ignored;
    pair->client.close(ignored);
    pair->server.close(ignored);
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
  bool away_ = false;  // of the forwarder's thread
  std::mutex mutex_;
  std::condition_variable changed_;
  int refused_ = 0;
  std::atomic<bool> mute_{false};
  std::jthread thread_;
};
