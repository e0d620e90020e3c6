#pragma once
/// A TCP connection with deadlines, and the fixed buffers that bytes pass through. Setting a
/// deadline is one assignment: the worker's sweep looks at all of them a few times a second,
/// instead of one timer per read and write.

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/intrusive/list.hpp>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "common/async/asio.hpp"

namespace karreg::proxy {

/// Bytes between a read and a write. Empty ones hold no memory.
class Buffer {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool allocated() const { return bytes_ != nullptr; }
  std::string_view view(std::size_t from = 0) const { return {bytes_.get() + from, size_ - from}; }
  std::span<char> bytes(std::size_t from) { return {bytes_.get() + from, size_ - from}; }
  std::span<char> free() { return {bytes_.get() + size_, capacity_ - size_}; }
  void grow(std::size_t n) { size_ += n; }
  void clear() { size_ = 0; }
  /// Removes @p n bytes at @p from; what follows moves down.
  void erase(std::size_t from, std::size_t n) {
    if (n == 0) return;
    std::memmove(bytes_.get() + from, bytes_.get() + from + n, size_ - from - n);
    size_ -= n;
  }

 private:
  friend class BufferPool;
  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
};

/// Lends memory to buffers; a worker's own.
class BufferPool {
 public:
  explicit BufferPool(std::size_t bytes) : bytes_(bytes) {}
  void lend(Buffer& to);
  void take_back(Buffer& from);

 private:
  std::size_t bytes_;
  std::vector<std::unique_ptr<char[]>> spare_;
};

class Connection;
using ConnectionHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
using ConnectionList =
    boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>>;

/// One socket; used on its worker's thread only.
class Connection : public ConnectionHook {
 public:
  Connection(asio::ip::tcp::socket socket, ConnectionList& swept);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  struct Read {
    error_code error;
    std::size_t bytes = 0;
    bool ok() const { return !error && bytes > 0; }
  };
  /// Waits until a byte or the end is there, without holding a buffer.
  awaitable<error_code> wait_readable(SteadyTime by);
  /// Reads what comes, at most @p into.free().
  awaitable<Read> read_some(Buffer& into, SteadyTime by);
  /// Writes all of @p buffers.
  template <class Buffers>
  awaitable<error_code> write(const Buffers& buffers, SteadyTime by) {
    write_by_ = by;
    expired_ = false;
    auto [ec, n] = co_await asio::async_write(socket_, buffers, as_result);
    write_by_ = SteadyTime::max();
    written_ += n;
    co_return ec;
  }
  awaitable<error_code> connect(const asio::ip::tcp::endpoint& to, SteadyTime by);

  /// The last operation that ended with an error did so because its time was over.
  bool expired() const { return expired_; }
  /// While the other side is waited for: if this peer leaves meanwhile, @p other is cancelled.
  /// nullptr ends the watch.
  void watch_for_leaving(Connection* other) { watched_for_ = other; }
  bool peer_left() const { return peer_left_; }
  /// Whether the peer has neither closed nor said anything: what a kept connection must look like.
  bool quiet();
  /// Whether there are bytes (not the end) to be read now.
  bool has_bytes();
  /// All that waits on the socket ends with an error.
  void cancel();
  void close();
  /// Closes so that the peer sees a broken connection, not an end.
  void reset();
  void shutdown_send();
  void reset_deadlines();

  void sweep(SteadyTime now, bool look_for_leavers);
  asio::ip::tcp::socket& socket() { return socket_; }
  std::uint64_t read_bytes() const { return read_; }
  std::uint64_t written_bytes() const { return written_; }
  /// Puts the deadline for reading off; for tunnels, where the other direction counts too.
  void extend_read(SteadyTime by) { read_by_ = by; }

 private:
  /// What a peek says: bytes, nothing yet (0), or the end (-1).
  int peek();

  asio::ip::tcp::socket socket_;
  SteadyTime read_by_ = SteadyTime::max();
  SteadyTime write_by_ = SteadyTime::max();
  Connection* watched_for_ = nullptr;
  std::uint64_t read_ = 0;
  std::uint64_t written_ = 0;
  bool expired_ = false;
  bool peer_left_ = false;
};

}  // namespace karreg::proxy
