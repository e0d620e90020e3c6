#include "reverse-proxy/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace karreg::proxy {

namespace {
/// Memory that a worker keeps for the next requests.
constexpr std::size_t spare_buffers = 256;
/// Reads and writes of one connection in a row: a fast download must not keep the others waiting.
constexpr int operations_in_a_row = 16;

error_code system_error(int number) {
  return {number, boost::system::system_category()};
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
  to.capacity_ = bytes_;
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
  return !from_.had_enough() && attempt();
}

void Connection::Reading::await_suspend(std::coroutine_handle<> coroutine) {
  waiting = coroutine;
  from_.read_by_ = by_;
  from_.socket_.wait_to_read(*this);
}

Connection::Read Connection::Reading::await_resume() {
  from_.read_by_ = SteadyTime::max();
  from_.read_ += bytes_;
  return {error, bytes_};
}

bool Connection::Reading::attempt() {
  auto& socket = from_.socket_;
  if (!socket.is_open()) {
    error = aborted();
    return true;
  }
  if (into_ == nullptr) {
    // The kernel was not asked since it last spoke: that is not enough here.
    if (socket.may_read() && from_.peek() == 0) socket.nothing_to_read();
    return socket.may_read();
  }
  if (!socket.may_read()) return false;
  const bool lent = !into_->allocated();
  if (lent) from_.buffers_.lend(*into_);
  const auto room = into_->free();
  for (;;) {
    const auto n = ::recv(socket.fd(), room.data(), room.size(), 0);
    if (n >= 0) {
      bytes_ = static_cast<std::size_t>(n);
      into_->grow(bytes_);
      if (bytes_ < room.size()) socket.took_all();
      return true;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {
      error = system_error(errno);
      return true;
    }
    socket.nothing_to_read();
    if (lent) from_.buffers_.take_back(*into_);
    return false;
  }
}

Connection::Writing::Writing(Connection& to, const Pieces& pieces, SteadyTime by)
    : to_(to), by_(by) {
  for (std::size_t i = 0; i < pieces.size(); ++i)
    // The kernel reads only.
    left_.at(i) = {const_cast<char*>(pieces.at(i).data()), pieces.at(i).size()};
}

bool Connection::Writing::await_ready() {
  to_.expired_ = false;
  return !to_.had_enough() && attempt();
}

void Connection::Writing::await_suspend(std::coroutine_handle<> coroutine) {
  waiting = coroutine;
  to_.write_by_ = by_;
  to_.socket_.wait_to_write(*this);
}

error_code Connection::Writing::await_resume() {
  to_.write_by_ = SteadyTime::max();
  return error;
}

ssize_t Connection::Writing::send_pieces() {
  const std::span pieces = std::span(left_).subspan(at_);
  const auto filled =
      std::ranges::find_if(pieces.subspan(1), [](const iovec& piece) { return piece.iov_len > 0; });
  // The common case, and the cheaper call.
  if (filled == pieces.end())
    return ::send(to_.socket_.fd(), pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  return ::sendmsg(to_.socket_.fd(), &message, MSG_NOSIGNAL);
}

bool Connection::Writing::attempt() {
  auto& socket = to_.socket_;
  for (;;) {
    while (at_ < left_.size() && left_.at(at_).iov_len == 0) ++at_;
    if (at_ == left_.size()) return true;
    if (!socket.is_open()) {
      error = aborted();
      return true;
    }
    if (!socket.may_write()) return false;
    const auto n = send_pieces();
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        socket.no_room();
        return false;
      }
      error = system_error(errno);
      return true;
    }
    auto taken = static_cast<std::size_t>(n);
    to_.written_ += taken;
    for (; taken > 0; ++at_) {
      auto& piece = left_.at(at_);
      if (taken < piece.iov_len) {
        piece.iov_base = static_cast<char*>(piece.iov_base) + taken;
        piece.iov_len -= taken;
        break;
      }
      taken -= piece.iov_len;
    }
  }
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
  if (fd < 0) co_return Connected{nullptr, system_error(errno).message()};
  const int on = 1;
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int begun = ::connect(fd, to.data(), static_cast<socklen_t>(to.size()));
  if (begun != 0 && errno != EINPROGRESS) {
    const int why = errno;
    ::close(fd);
    co_return Connected{nullptr, system_error(why).message()};
  }
  auto connection = std::make_unique<Connection>(loop, fd, buffers, swept);
  if (begun == 0) co_return Connected{std::move(connection), {}};
  const auto ec = co_await Connecting(*connection, by);
  if (ec) co_return Connected{nullptr, connection->expired() ? "timed out" : ec.message()};
  int why = 0;
  socklen_t size = sizeof why;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) != 0) why = errno;
  if (why != 0) co_return Connected{nullptr, system_error(why).message()};
  co_return Connected{std::move(connection), {}};
}

int Connection::peek() {
  char byte = 0;
  const auto n = ::recv(socket_.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return 1;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
  return -1;
}

bool Connection::quiet() {
  if (!is_open() || socket_.ended()) return false;
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
  if (is_open()) (void)::shutdown(socket_.fd(), SHUT_WR);
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
    socket_.nothing_to_read();
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
