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

  /// The push has been taken up: from here on the hook waits as long as it takes.
  awaitable<void> hello();
  /// One line of progress, shown as `remote: ...`.
  awaitable<void> line(std::string text);
  /// The verdict on one ref. accept: git is to move it from where the pusher saw it. moved: it has
  /// been moved; @p was, unless empty: from elsewhere. @p reason: one line.
  awaitable<void> accept(std::string ref);
  awaitable<void> moved(std::string ref, std::string was);
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
