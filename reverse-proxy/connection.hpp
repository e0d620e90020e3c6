#pragma once
/// A TCP connection with deadlines, and the fixed buffers that bytes pass through. Setting a
/// deadline is one assignment: the worker's sweep looks at all of them a few times a second,
/// instead of one timer per read and write.

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/intrusive/list.hpp>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "reverse-proxy/loop/socket.hpp"
#include "reverse-proxy/proxy_protocol.hpp"
#include "reverse-proxy/tls/stream.hpp"

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
  std::size_t room() const { return capacity_ - size_; }
  void grow(std::size_t n) { size_ += static_cast<std::uint32_t>(n); }
  void clear() { size_ = 0; }
  /// From the next lending on, @p bytes of the memory stay unused: so that what is read into it can
  /// be written with something around it without one more record of TLS.
  void leave_unused(std::uint32_t bytes) { unused_ = bytes; }
  /// Removes @p n bytes at @p from; what follows moves down.
  void erase(std::size_t from, std::size_t n) {
    if (n == 0) return;
    std::memmove(bytes_.get() + from, bytes_.get() + from + n, size_ - from - n);
    size_ -= static_cast<std::uint32_t>(n);
  }

 private:
  friend class BufferPool;
  std::unique_ptr<char[]> bytes_;
  // Idle connections have one, too.
  std::uint32_t capacity_ = 0;
  std::uint32_t size_ = 0;
  std::uint32_t unused_ = 0;
};

/// Lends memory to buffers; a worker's own. What was given back last is lent first: it is still in
/// the processor's cache.
class BufferPool {
 public:
  /// @p bytes: of each buffer; less than 4 GiB.
  explicit BufferPool(std::size_t bytes) : bytes_(bytes) {}
  void lend(Buffer& to);
  void take_back(Buffer& from);

 private:
  std::size_t bytes_;
  std::vector<std::unique_ptr<char[]>> spare_;
};

/// What waits for one side of a request, while the other one may leave.
class Cancellable {
 public:
  /// All that waits ends with an error.
  virtual void cancel() = 0;

 protected:
  Cancellable() = default;
  Cancellable(const Cancellable&) = default;
  Cancellable& operator=(const Cancellable&) = default;
  ~Cancellable() = default;
};

class Connection;
using ConnectionHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
using ConnectionList =
    boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>>;

/// What one write gathers.
using Pieces = std::array<std::string_view, 4>;

/// Used on its loop's thread only.
class Connection final : public ConnectionHook, public Cancellable {
 public:
  /// Takes @p fd over, a non-blocking stream socket.
  Connection(Loop& loop, int fd, BufferPool& buffers, ConnectionList& swept);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  struct Read {
    error_code error;
    std::size_t bytes = 0;
    bool ok() const { return !error && bytes > 0; }
    /// The peer has said all.
    bool end() const { return !error && bytes == 0; }
  };

  /// Reads what comes.
  class [[nodiscard]] Reading final : public Operation {
   public:
    Reading(Connection& from, Buffer& into, SteadyTime by) : from_(from), into_(into), by_(by) {}
    bool await_ready();
    void await_suspend(std::coroutine_handle<> coroutine);
    Read await_resume();
    bool attempt() override;

   private:
    bool attempt_into(std::span<char> room);
    bool attempt_tls(std::span<char> room);

    Connection& from_;
    Buffer& into_;
    SteadyTime by_;
    std::size_t bytes_ = 0;
    bool postponed_ = false;
  };
  /// Reads what comes, at most @p into.free(), which must not be empty. Memory is lent to @p into
  /// when there is something for it.
  Reading read_some(Buffer& into, SteadyTime by) { return {*this, into, by}; }

  /// What stands first of what is to be read, which stays there.
  class [[nodiscard]] Looking final : public Operation {
   public:
    Looking(Connection& at, std::span<char> into, std::size_t known, SteadyTime by)
        : at_(at), into_(into), known_(known), by_(by) {}
    bool await_ready() { return attempt(); }
    void await_suspend(std::coroutine_handle<> coroutine);
    Read await_resume();
    bool attempt() override;

   private:
    Connection& at_;
    std::span<char> into_;
    std::size_t known_;
    SteadyTime by_;
    std::size_t bytes_ = 0;
  };
  /// Waits for more bytes than @p known, or the end; all of them are in @p into then, as far as it
  /// has room. Without TLS.
  Looking look_ahead(std::span<char> into, std::size_t known, SteadyTime by) {
    return {*this, into, known, by};
  }
  /// Takes @p bytes away that look_ahead() has seen.
  void pass_over(std::size_t bytes);

  class [[nodiscard]] Writing final : public Operation {
   public:
    Writing(Connection& to, const Pieces& pieces, SteadyTime by);
    bool await_ready();
    void await_suspend(std::coroutine_handle<> coroutine);
    error_code await_resume();
    bool attempt() override;

   private:
    bool attempt_tls();
    ssize_t send_pieces();
    std::size_t left() const;
    /// Some of what is left, in one piece.
    std::string_view gather_record() const;
    void taken(std::size_t bytes);

    Connection& to_;
    std::array<iovec, std::tuple_size_v<Pieces>> left_;
    std::size_t at_ = 0;  ///< of the first that is left
    SteadyTime by_;
    bool postponed_ = false;
  };
  /// Writes all of @p pieces, which must stay where they are meanwhile.
  Writing write(const Pieces& pieces, SteadyTime by) { return {*this, pieces, by}; }
  Writing write(std::string_view text, SteadyTime by) { return {*this, Pieces{text}, by}; }

  /// What the peer says first is a TLS handshake, and all goes through TLS from then on.
  /// `plain_http`: it was not; then the connection is as before, but for what was read of it.
  Task<tls::Stream::Status> secure(const tls::Context& context, SteadyTime by);

  /// Has TLS spoken as the client, to a server called @p name. Why it does not stand, in English;
  /// empty: it does.
  Task<std::string> secure_towards(const tls::ClientContext& context, const std::string& name,
                                   SteadyTime by);

  /// What the peer and we agreed on in the handshake (ALPN); empty without TLS.
  std::string_view protocol() const { return tls_ ? tls_->protocol() : std::string_view(); }

  /// What a balancer has told of its ends: else those that the kernel knows.
  void are_told(Ends ends) { told_ = std::make_unique<const Ends>(std::move(ends)); }
  Ends ends() const;
  /// What TLS knows of the peer; nullptr without it.
  const tls::Stream* tls() const { return tls_.get(); }

  struct Connected {
    std::unique_ptr<Connection> connection;  ///< nullptr: it did not work
    std::string why;                         ///< in English, when it did not
    bool own_fault = false;  ///< this machine has no descriptor, port or memory for it
    bool unfit = false;      ///< it was there, but did not speak as it should
  };
  static Task<Connected> connect(Loop& loop, const boost::asio::ip::tcp::endpoint& to,
                                 BufferPool& buffers, ConnectionList& swept, SteadyTime by);

  /// The last operation that ended with an error did so because its time was over.
  bool expired() const { return expired_; }
  /// While the other side is waited for: if this peer leaves meanwhile, @p other is cancelled.
  /// nullptr ends the watch.
  void watch_for_leaving(Cancellable* other) { watched_for_ = other; }
  bool peer_left() const { return peer_left_; }
  bool is_open() const { return socket_.is_open(); }
  Loop& loop() const { return socket_.loop(); }
  /// The peer has ended or broken the connection; there may be bytes before that.
  bool hung_up() const { return socket_.ended(); }
  /// The loop's clock.
  SteadyTime now() const { return socket_.loop().now(); }
  /// Whether the peer has neither closed nor said anything, as far as this loop has heard: what a
  /// kept connection must look like.
  bool quiet();
  /// quiet(), and the kernel has not heard of anything either.
  bool quiet_for_certain() { return quiet() && peek() == 0; }
  /// Whether there are bytes (not the end) to be read now.
  bool has_bytes() { return is_open() && peek() == 1; }
  /// All that waits on the socket ends with an error.
  void cancel() override { socket_.cancel(); }
  void close() { socket_.close(); }
  /// Closes so that the peer sees a broken connection, not an end.
  void reset();
  void shutdown_send();
  /// Has the kernel ask from time to time whether an idle peer is still there, so that one that
  /// vanished without a word reads as broken within two minutes.
  void keep_alive();

  void sweep(SteadyTime now, bool look_for_leavers);
  std::uint64_t read_bytes() const { return read_; }
  std::uint64_t written_bytes() const { return written_; }
  /// Puts the deadline of the read that is under way off; for tunnels, where the other direction
  /// counts too.
  void extend_read(SteadyTime by) {
    if (socket_.waits_to_read()) read_by_ = by;
  }

 private:
  class Connecting;
  class Handshaking;
  /// What a peek says: bytes, nothing yet (0), or the end (-1).
  int peek();
  /// Whether this connection has had its share of the turn.
  bool had_enough();

  Socket socket_;
  std::unique_ptr<tls::Stream> tls_;  ///< nullptr: bytes are what they are
  std::unique_ptr<const Ends> told_;  ///< nullptr: nobody has
  BufferPool& buffers_;
  SteadyTime read_by_ = SteadyTime::max();
  SteadyTime write_by_ = SteadyTime::max();
  Cancellable* watched_for_ = nullptr;
  std::uint64_t read_ = 0;
  std::uint64_t written_ = 0;
  SteadyTime turn_{};  ///< in which operations_ were done
  int operations_ = 0;
  bool expired_ = false;
  bool peer_left_ = false;
};

}  // namespace karreg::proxy
