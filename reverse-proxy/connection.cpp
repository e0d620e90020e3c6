#include "reverse-proxy/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace karreg::proxy {

namespace {
/// Memory that a worker keeps for the next requests, two of each: no more than 16 MiB by default.
constexpr std::size_t spare_buffers = 256;
/// Reads and writes of one connection in a row: a fast download must not keep the others waiting.
constexpr int operations_in_a_row = 12;

/// What fits into one record of TLS (RFC 8446 §5.1).
constexpr std::size_t record_bytes = 16384;

/// TLS was not kept to.
error_code broken() {
  return boost::system::errc::make_error_code(boost::system::errc::protocol_error);
}

error_code system_error(int number) {
  return {number, boost::system::system_category()};
}

Connection::Connected not_connected(int why) {
  static constexpr std::array<int, 5> own = {EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL};
  return {nullptr, system_error(why).message(), std::ranges::find(own, why) != own.end(), false};
}
}  // namespace

void BufferPool::lend(Buffer& to) {
  if (to.bytes_) return;
  if (spare_.empty()) {
    to.bytes_ = std::make_unique_for_overwrite<char[]>(bytes_);
  } else {
    to.bytes_ = std::move(spare_.back());
    spare_.pop_back();
  }
  to.capacity_ = static_cast<std::uint32_t>(bytes_) - to.unused_;
  to.size_ = 0;
}

void BufferPool::take_back(Buffer& from) {
  if (!from.bytes_) return;
  if (spare_.size() < spare_buffers) spare_.push_back(std::move(from.bytes_));
  from.bytes_.reset();
  from.capacity_ = 0;
  from.size_ = 0;
}

Connection::Connection(Loop& loop, int fd, BufferPool& buffers, ConnectionList& swept)
    : socket_(loop, fd), buffers_(buffers) {
  swept.push_back(*this);
}

bool Connection::had_enough() {
  const auto now = socket_.loop().now();
  if (now != turn_) {
    turn_ = now;
    operations_ = 0;
  }
  return ++operations_ > operations_in_a_row;
}

bool Connection::Reading::await_ready() {
  from_.expired_ = false;
  postponed_ = from_.had_enough();
  return !postponed_ && attempt();
}

void Connection::Reading::await_suspend(std::coroutine_handle<> coroutine) {
  waiting = coroutine;
  from_.read_by_ = by_;
  from_.socket_.wait_to_read(*this);
  if (postponed_) from_.socket_.attempt_soon();
}

Connection::Read Connection::Reading::await_resume() {
  from_.read_by_ = SteadyTime::max();
  from_.read_ += bytes_;
  return {error, bytes_};
}

bool Connection::Reading::attempt() {
  if (!from_.is_open()) {
    error = aborted();
    return true;
  }
  if (!from_.tls_ && !from_.socket_.may_read()) return false;
  const bool lent = !into_.allocated();
  if (lent) from_.buffers_.lend(into_);
  const auto room = into_.free();
  const bool done = from_.tls_ ? attempt_tls(room) : attempt_into(room);
  into_.grow(bytes_);
  if (lent && bytes_ == 0) from_.buffers_.take_back(into_);
  return done;
}

bool Connection::Reading::attempt_into(std::span<char> room) {
  auto& socket = from_.socket_;
  for (;;) {
    const auto n = ::recv(socket.fd(), room.data(), room.size(), 0);
    if (n >= 0) {
      bytes_ = static_cast<std::size_t>(n);
      if (bytes_ < room.size()) socket.took_all();
      return true;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      socket.nothing_to_read();
      return false;
    }
    error = system_error(errno);
    return true;
  }
}

bool Connection::Reading::attempt_tls(std::span<char> room) {
  using Status = tls::Stream::Status;
  const auto status = from_.tls_->read(room, bytes_);
  if (status == Status::waits) return false;
  if (status != Status::done) bytes_ = 0;
  if (status != Status::done && status != Status::ended) error = broken();
  return true;
}

void Connection::Looking::await_suspend(std::coroutine_handle<> coroutine) {
  waiting = coroutine;
  at_.read_by_ = by_;
  at_.socket_.wait_to_read(*this);
}

Connection::Read Connection::Looking::await_resume() {
  at_.read_by_ = SteadyTime::max();
  return {error, bytes_};
}

bool Connection::Looking::attempt() {
  auto& socket = at_.socket_;
  if (!socket.is_open()) {
    error = aborted();
    return true;
  }
  const auto n = ::recv(socket.fd(), into_.data(), into_.size(), MSG_PEEK);
  if (n < 0 && errno != EAGAIN && errno != EINTR) {
    error = system_error(errno);
    return true;
  }
  bytes_ = n > 0 ? static_cast<std::size_t>(n) : 0;
  // The end of a connection that has said too little reads as nothing more.
  if (n >= 0 && (bytes_ > known_ || socket.ended())) return true;
  if (n == 0) return true;
  // The next bytes are news to the kernel, although these are still there.
  socket.nothing_to_read();
  return false;
}

void Connection::pass_over(std::size_t bytes) {
  std::array<char, 1024> away;  // NOLINT(*-member-init): the kernel writes it
  while (bytes > 0) {
    const auto n = ::recv(socket_.fd(), away.data(), std::min(bytes, away.size()), 0);
    if (n <= 0) return;
    bytes -= static_cast<std::size_t>(n);
    read_ += static_cast<std::uint64_t>(n);
  }
}

Connection::Writing::Writing(Connection& to, const Pieces& pieces, SteadyTime by)
    : to_(to), by_(by) {
  for (std::size_t i = 0; i < pieces.size(); ++i)
    // The kernel reads only.
    left_.at(i) = {const_cast<char*>(pieces.at(i).data()), pieces.at(i).size()};
  taken(0);
}

bool Connection::Writing::await_ready() {
  to_.expired_ = false;
  postponed_ = to_.had_enough();
  return !postponed_ && attempt();
}

void Connection::Writing::await_suspend(std::coroutine_handle<> coroutine) {
  waiting = coroutine;
  to_.write_by_ = by_;
  to_.socket_.wait_to_write(*this);
  if (postponed_) to_.socket_.attempt_soon();
}

error_code Connection::Writing::await_resume() {
  to_.write_by_ = SteadyTime::max();
  return error;
}

void Connection::Writing::taken(std::size_t bytes) {
  to_.written_ += bytes;
  for (; at_ < left_.size(); ++at_) {
    auto& piece = left_.at(at_);
    const auto whole = std::min(bytes, piece.iov_len);
    piece.iov_base = static_cast<char*>(piece.iov_base) + whole;
    piece.iov_len -= whole;
    bytes -= whole;
    if (piece.iov_len > 0) return;
  }
}

ssize_t Connection::Writing::send_pieces() {
  const std::span pieces = std::span(left_).subspan(at_);
  const bool one =
      std::ranges::all_of(pieces.subspan(1), [](const iovec& piece) { return piece.iov_len == 0; });
  // The common case, and the cheaper call.
  if (one) return ::send(to_.socket_.fd(), pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  return ::sendmsg(to_.socket_.fd(), &message, MSG_NOSIGNAL);
}

bool Connection::Writing::attempt() {
  auto& socket = to_.socket_;
  if (to_.tls_) return attempt_tls();
  while (at_ < left_.size()) {
    if (!socket.is_open()) {
      error = aborted();
      return true;
    }
    if (!socket.may_write()) return false;
    const auto n = send_pieces();
    if (n >= 0) {
      taken(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      socket.no_room();
      return false;
    }
    error = system_error(errno);
    return true;
  }
  return true;
}

std::size_t Connection::Writing::left() const {
  std::size_t bytes = 0;
  for (std::size_t i = at_; i < left_.size(); ++i) bytes += left_.at(i).iov_len;
  return bytes;
}

std::string_view Connection::Writing::gather_record() const {
  auto view = [](const iovec& piece) {
    return std::string_view(static_cast<const char*>(piece.iov_base), piece.iov_len);
  };
  const auto first = view(left_.at(at_));
  if (first.size() >= record_bytes || at_ + 1 == left_.size()) return first;
  // A head and the beginning of its body are one record, as they are one packet without TLS.
  static thread_local std::array<char, record_bytes> record;
  std::size_t size = 0;
  for (std::size_t i = at_; i < left_.size(); ++i)
    size += view(left_.at(i)).copy(record.data() + size, record.size() - size);
  return {record.data(), size};
}

bool Connection::Writing::attempt_tls() {
  using Status = tls::Stream::Status;
  while (at_ < left_.size()) {
    if (!to_.is_open()) {
      error = aborted();
      return true;
    }
    std::size_t n = 0;
    const auto record = gather_record();
    const bool more = record.size() > record_bytes || record.size() < left();
    const auto status = to_.tls_->write(record, n, more);
    if (status == Status::waits) return false;
    if (status != Status::done) {
      error = broken();
      return true;
    }
    taken(n);
  }
  return true;
}

class [[nodiscard]] Connection::Handshaking final : public Operation {
 public:
  Handshaking(Connection& connection, SteadyTime by) : connection_(connection), by_(by) {}
  bool await_ready() {
    connection_.expired_ = false;
    return attempt();
  }
  void await_suspend(std::coroutine_handle<> coroutine) {
    waiting = coroutine;
    connection_.read_by_ = by_;
    connection_.socket_.wait_to_read(*this);
  }
  tls::Stream::Status await_resume() const {
    connection_.read_by_ = SteadyTime::max();
    return error ? tls::Stream::Status::failed : status_;
  }
  bool attempt() override {
    status_ = connection_.tls_->handshake();
    return status_ != tls::Stream::Status::waits;
  }

 private:
  Connection& connection_;
  SteadyTime by_;
  tls::Stream::Status status_ = tls::Stream::Status::waits;
};

Task<tls::Stream::Status> Connection::secure(const tls::Context& context, SteadyTime by) {
  tls_ = std::make_unique<tls::Stream>(context, socket_);
  socket_.entwine();
  const auto status = co_await Handshaking(*this, by);
  if (status == tls::Stream::Status::plain_http) tls_.reset();
  co_return status;
}

Task<std::string> Connection::secure_towards(const tls::ClientContext& context,
                                             const std::string& name, SteadyTime by) {
  tls_ = std::make_unique<tls::Stream>(context, name, socket_);
  socket_.entwine();
  const auto status = co_await Handshaking(*this, by);
  if (status == tls::Stream::Status::done) co_return std::string();
  if (expired_) co_return "it does not end the handshake of TLS in time";
  co_return tls_->why().empty() ? "it ended the connection in the handshake" : tls_->why();
}

/// Until a connection stands or has failed.
class [[nodiscard]] Connection::Connecting final : public Operation {
 public:
  Connecting(Connection& connection, SteadyTime by) : connection_(connection), by_(by) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    waiting = coroutine;
    // The kernel has not spoken of it yet.
    connection_.socket_.nothing_to_read();
    connection_.socket_.no_room();
    connection_.write_by_ = by_;
    connection_.socket_.wait_to_write(*this);
  }
  error_code await_resume() const {
    connection_.write_by_ = SteadyTime::max();
    return error;
  }
  bool attempt() override { return connection_.socket_.may_write(); }

 private:
  Connection& connection_;
  SteadyTime by_;
};

Task<Connection::Connected> Connection::connect(Loop& loop,
                                                const boost::asio::ip::tcp::endpoint& to,
                                                BufferPool& buffers, ConnectionList& swept,
                                                SteadyTime by) {
  const int fd =
      ::socket(to.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) co_return not_connected(errno);
  const int on = 1;
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int begun = ::connect(fd, to.data(), static_cast<socklen_t>(to.size()));
  if (begun != 0 && errno != EINPROGRESS) {
    const int why = errno;
    ::close(fd);
    co_return not_connected(why);
  }
  std::unique_ptr<Connection> connection;
  try {
    connection = std::make_unique<Connection>(loop, fd, buffers, swept);
  } catch (const std::system_error& e) {
    co_return Connected{nullptr, e.what(), true, false};
  }
  if (begun == 0) co_return Connected{std::move(connection), {}, false, false};
  const auto ec = co_await Connecting(*connection, by);
  if (ec)
    co_return Connected{nullptr, connection->expired() ? "timed out" : ec.message(), false, false};
  int why = 0;
  socklen_t size = sizeof why;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) != 0) why = errno;
  if (why != 0) co_return not_connected(why);
  co_return Connected{std::move(connection), {}, false, false};
}

Ends Connection::ends() const {
  if (told_) return *told_;
  namespace ip = boost::asio::ip;
  const auto end = [this](auto ask, std::string& address, std::uint16_t& port) {
    ip::tcp::endpoint found;
    auto size = static_cast<socklen_t>(found.capacity());
    if (!is_open() || ask(socket_.fd(), found.data(), &size) != 0) return;
    found.resize(size);
    const auto at = found.address();
    const bool mapped = at.is_v6() && at.to_v6().is_v4_mapped();
    address = mapped ? ip::make_address_v4(ip::v4_mapped, at.to_v6()).to_string() : at.to_string();
    port = found.port();
  };
  Ends ends;
  end(::getpeername, ends.from, ends.from_port);
  end(::getsockname, ends.to, ends.to_port);
  return ends;
}

int Connection::peek() {
  if (tls_) return tls_->peek();
  char byte = 0;
  const auto n = ::recv(socket_.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return 1;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
  return -1;
}

bool Connection::quiet() {
  if (!is_open() || socket_.ended()) return false;
  // What came with the last record is OpenSSL's: the socket knows nothing of it.
  if (tls_) return peek() == 0;
  // A read that took as much as it had room for has not asked whether there is more.
  if (socket_.may_read() && peek() == 0) socket_.nothing_to_read();
  return !socket_.may_read();
}

void Connection::reset() {
  const linger hard{1, 0};
  if (is_open()) (void)::setsockopt(socket_.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close();
}

void Connection::shutdown_send() {
  if (is_open() && tls_) tls_->say_end();
  if (is_open()) (void)::shutdown(socket_.fd(), SHUT_WR);
}

void Connection::keep_alive() {
  auto set = [this](int level, int option, int value) {
    (void)::setsockopt(socket_.fd(), level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 5);
}

void Connection::sweep(SteadyTime now, bool look_for_leavers) {
  if (now >= read_by_ || now >= write_by_) {
    expired_ = true;
    read_by_ = SteadyTime::max();
    write_by_ = SteadyTime::max();
    cancel();
    return;
  }
  if (!look_for_leavers || watched_for_ == nullptr || !is_open() || !socket_.may_read()) return;
  const int seen = peek();
  if (seen == 0) {
    // TLS keeps that flag itself: it may wait for room to write.
    if (!tls_) socket_.nothing_to_read();
    return;
  }
  // Bytes of a next request: this client is still there, and its leaving can no longer be seen.
  if (seen < 0) {
    peer_left_ = true;
    watched_for_->cancel();
  }
  watched_for_ = nullptr;
}

}  // namespace karreg::proxy
