#include "reverse-proxy/tunnel.hpp"

#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

namespace {

/// The end of a tunnel that is a connection.
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
  void hang_up() { connection_.close(); }

 private:
  BufferPool& buffers_;
  Connection& connection_;
  Buffer& buffer_;
  std::size_t offset_;
};

/// The end of a tunnel that is a stream of HTTP/2.
class Stream {
 public:
  explicit Stream(Visitor& visitor) : visitor_(visitor) {}

  std::span<const char> heard() const { return heard_; }
  void passed(std::size_t) { heard_ = {}; }
  Task<Connection::Read> hear(SteadyTime by) {
    using End = BodyReader::End;
    visitor_.allow_until(by);
    const auto piece = co_await visitor_.next_piece();
    heard_ = piece.bytes;
    Connection::Read read{{}, heard_.size()};
    if (piece.end != End::none && piece.end != End::complete)
      read.error = boost::system::errc::make_error_code(boost::system::errc::connection_reset);
    co_return read;
  }
  Task<error_code> tell(std::span<const char> bytes, SteadyTime) {
    const bool taken = co_await visitor_.send(bytes, false);
    co_return taken ? error_code{}
                    : boost::system::errc::make_error_code(boost::system::errc::connection_reset);
  }
  Task<bool> say_end() { return visitor_.send({}, true); }
  void allow_until(SteadyTime by) { visitor_.allow_until(by); }
  void hang_up() { visitor_.hang_up(); }

 private:
  Visitor& visitor_;
  std::span<const char> heard_;
};

}  // namespace

Task<void> Tunnel::run() {
  auto& buffers = worker_.buffers();
  const Wire instance(buffers, up_, up_in_, 0);
  if (const auto wire = visitor_.wire()) {
    const Wire client(buffers, wire->connection, wire->buffer, wire->offset);
    co_await Both(pump(client, instance), pump(instance, client));
  } else {
    const Stream client(visitor_);
    co_await Both(pump(client, instance), pump(instance, client));
  }
}

template <class From, class To>
Task<void> Tunnel::pump(From from, To to) {
  const auto& limits = worker_.limits();
  for (;;) {
    const auto bytes = from.heard();
    if (!bytes.empty()) {
      const error_code ec = co_await to.tell(bytes, worker_.loop().now() + limits.client_time);
      if (ec) break;
      from.passed(bytes.size());
    }
    const auto by = worker_.loop().now() + (half_ ? limits.linger_time : limits.tunnel_time);
    // A byte in either direction counts for both.
    to.allow_until(by);
    const Connection::Read read = co_await from.hear(by);
    if (read.ok()) continue;
    if (!read.end()) break;
    // One side has said all: the other may still answer, but not for long.
    half_ = true;
    co_await to.say_end();
    to.allow_until(worker_.loop().now() + limits.linger_time);
    co_return;
  }
  from.hang_up();
  to.hang_up();
}

}  // namespace karreg::proxy
