#pragma once
/// A non-blocking stream socket in a loop, and what can be awaited of it.
///
/// epoll reports edges (EPOLLET): a flag says that the kernel may have bytes, or room, for us, and
/// stays until the kernel has said no. So an operation begins with an attempt, waits only when that
/// was refused, and nothing has to be told to epoll between operations.

#include <sys/uio.h>

#include <boost/system/error_code.hpp>
#include <coroutine>
#include <cstddef>

#include "reverse-proxy/loop/loop.hpp"

namespace karreg::proxy {

using boost::system::error_code;

/// The error of what was cancelled, or whose socket was closed.
inline error_code aborted() {
  return boost::system::errc::make_error_code(boost::system::errc::operation_canceled);
}

/// Something awaited of a socket: lives in the frame of the coroutine that waits.
class Operation {
 public:
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  std::coroutine_handle<> waiting;
  error_code error;

  /// Tries; false when the kernel has nothing for us yet.
  virtual bool attempt() = 0;

 protected:
  Operation() = default;
  ~Operation() = default;
};

class Socket : public ReadyHook {
 public:
  /// Takes @p fd over, which must be non-blocking; throws std::system_error when epoll does not
  /// take it.
  Socket(Loop& loop, int fd);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  Loop& loop() const { return loop_; }

  // For operations: what the kernel has not refused since it last spoke.
  bool may_read() const { return readable_; }
  bool may_write() const { return writable_; }
  void nothing_to_read() { readable_ = false; }
  void no_room() { writable_ = false; }
  /// All bytes before were taken: there are no more, unless the other side has said its end.
  void took_all() { readable_ = readable_ && ended_; }
  /// The other side has ended or broken the connection; there may be bytes before that.
  bool ended() const { return ended_; }

  /// @p operation, whose attempt has failed, is attempted again when the kernel has more. One each
  /// way at a time.
  void wait_to_read(Operation& operation) { reading_ = &operation; }
  void wait_to_write(Operation& operation) { writing_ = &operation; }
  /// What waits is attempted in the next turn, whatever the kernel says: for who has had enough of
  /// this one.
  void attempt_soon() { loop_.make_ready(*this); }
  /// A read may wait for room, and a write for bytes: news of either has both attempted.
  void entwine() { entwined_ = true; }
  bool waits_to_read() const { return reading_ != nullptr; }

  /// What waits ends with aborted().
  void cancel();
  void close();
  /// It stays open, but nothing is read any more: what waits to be read ends with aborted().
  void hear_no_more();
  /// Of what another process has open, too: epoll would go on to report it.
  void close_shared();

 private:
  friend class Loop;
  /// From epoll.
  void heard(std::uint32_t events);
  /// Attempts what waits, and resumes it. The socket may be gone afterwards.
  void dispatch();

  Loop& loop_;
  int fd_;
  bool readable_ = true;
  bool writable_ = true;
  bool ended_ = false;
  bool entwined_ = false;
  Operation* reading_ = nullptr;
  Operation* writing_ = nullptr;
};

}  // namespace karreg::proxy
