#pragma once
/// Bytes both ways between two ends, until one of them ends: what WebSockets (tunnel.hpp) and TCP
/// services (tcp_session.hpp) have in common. Each piece is taken by one side before the next one
/// is read from the other, and who waits holds no buffer.

#include <span>

#include "reverse-proxy/connection.hpp"
#include "reverse-proxy/limits.hpp"

namespace karreg::proxy {

/// An end that is a connection.
class Wire {
 public:
  Wire(BufferPool& buffers, Connection& connection, Buffer& buffer, std::size_t offset)
      : buffers_(buffers), connection_(connection), buffer_(buffer), offset_(offset) {}

  /// What was heard and not passed on.
  std::span<const char> heard() const { return buffer_.bytes(offset_); }
  void passed(std::size_t bytes) { buffer_.erase(offset_, bytes); }
  auto hear(SteadyTime by) {
    // Who waits holds no buffer.
    if (buffer_.empty()) buffers_.take_back(buffer_);
    return connection_.read_some(buffer_, by);
  }
  auto tell(std::span<const char> bytes, SteadyTime by) {
    return connection_.write({bytes.data(), bytes.size()}, by);
  }
  std::suspend_never say_end() {
    connection_.shutdown_send();
    return {};
  }
  /// The hearing that is under way ends at @p by.
  void allow_until(SteadyTime by) { connection_.extend_read(by); }
  /// It does not hear or tell any more.
  void broke() {}
  void hang_up() { connection_.close(); }

 private:
  BufferPool& buffers_;
  Connection& connection_;
  Buffer& buffer_;
  std::size_t offset_;
};

/// Two directions that know of each other.
class Pump {
 public:
  struct Patience {
    Limits::ms take;  ///< until one side has taken a piece
    Limits::ms idle;  ///< without a byte in either direction
    Limits::ms half;  ///< the same, when one side has said all
  };
  Pump(Loop& loop, const Patience& patience) : loop_(loop), patience_(patience) {}

  /// Passes on what @p from says, until its end, which @p to is told. When one of them breaks off,
  /// or the time is over, both hang up.
  template <class From, class To>
  Task<void> pass(From from, To to) {
    for (;;) {
      const auto bytes = from.heard();
      if (!bytes.empty()) {
        const error_code ec = co_await to.tell(bytes, loop_.now() + patience_.take);
        if (ec) {
          to.broke();
          break;
        }
        from.passed(bytes.size());
      }
      const auto by = loop_.now() + (half_ ? patience_.half : patience_.idle);
      // A byte in either direction counts for both.
      to.allow_until(by);
      const Connection::Read read = co_await from.hear(by);
      if (read.ok()) continue;
      if (!read.end()) {
        from.broke();
        break;
      }
      // One side has said all: the other may still answer.
      half_ = true;
      co_await to.say_end();
      to.allow_until(loop_.now() + patience_.half);
      co_return;
    }
    from.hang_up();
    to.hang_up();
  }

 private:
  Loop& loop_;
  const Patience patience_;
  bool half_ = false;  ///< one side has said all
};

}  // namespace karreg::proxy
