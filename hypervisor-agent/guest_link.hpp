#pragma once
/// The agent's end of the channel to a guest: lines of JSON over the unix socket of a virtio-serial
/// port (docs/contracts.md §3). Lives on one executor.

#include <boost/asio/local/stream_protocol.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/async/asio.hpp"
#include "common/wire/guest.hpp"

namespace karreg::agent {

class GuestLink {
 public:
  using OnMessage = std::function<void(const wire::guest::FromGuest&)>;

  GuestLink(const asio::any_io_executor& executor, std::string socket_path);

  /// One connection from its beginning to its end: says `attach`, then passes on what the guest
  /// says, but for the answers to ping(). Lines that are no message, or are too long, are skipped.
  /// Returns false when there was nobody to connect to, true when a connection ended (by the guest,
  /// by close(), or because it read nothing for long).
  awaitable<bool> converse(OnMessage on_message);
  /// Queues a message. Without a connection it is forgotten: whoever connects knows what to say.
  template <class T>
  void send(const T& message) {
    push(wire::guest::encode(message));
  }
  /// Acknowledges log batches up to @p seq; a newer acknowledgement replaces one that waits.
  void acknowledge(std::uint64_t seq);
  /// Whether the guest answers a `ping` within @p timeout; false too when the link is closed
  /// meanwhile. A lost connection is bridged: the next one begins with the same question. One at a
  /// time.
  awaitable<bool> ping(std::chrono::milliseconds timeout);
  /// Ends the connection and refuses further ones.
  void close();
  bool closed() const { return closed_; }

 private:
  using Socket = asio::local::stream_protocol::socket;
  void push(std::string line);
  void take(const wire::guest::Pong& pong);
  std::optional<std::string> next_line();
  awaitable<void> write_lines();

  std::string path_;
  Socket socket_;
  asio::steady_timer wake_;
  asio::steady_timer pong_due_;
  std::deque<std::string> outgoing_;
  std::optional<std::uint64_t> ack_;
  std::uint64_t pinged_ = 0;
  std::uint64_t ponged_ = 0;
  bool connected_ = false;
  bool closed_ = false;
};

}  // namespace karreg::agent
