#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <string>

#include "common/async/asio.hpp"

namespace karreg::api::git {

/// Whoever pushes, seen through the hook's connection: takes lines to show and verdicts on refs.
class Pusher {
 public:
  using Socket = asio::local::stream_protocol::socket;
  explicit Pusher(Socket& socket) : socket_(socket) {}

  /// One line of progress, shown as `remote: ...`.
  awaitable<void> line(std::string text);
  /// The verdict on one ref; @p reason: one line, for a refusal.
  awaitable<void> accept(std::string ref);
  awaitable<void> refuse(std::string ref, std::string reason);
  /// Everything is said.
  awaitable<void> end();
  /// Whether the pusher has left.
  bool gone();

 private:
  awaitable<void> put(std::string message);
  Socket& socket_;
  bool gone_ = false;
};

}  // namespace karreg::api::git
