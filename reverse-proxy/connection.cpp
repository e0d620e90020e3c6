#include "reverse-proxy/connection.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace karreg::proxy {

namespace {
/// Memory that a worker keeps for the next requests.
constexpr std::size_t spare_buffers = 256;
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

Connection::Connection(asio::ip::tcp::socket socket, ConnectionList& swept)
    : socket_(std::move(socket)) {
  swept.push_back(*this);
}

awaitable<error_code> Connection::wait_readable(SteadyTime by) {
  read_by_ = by;
  expired_ = false;
  auto [ec] = co_await socket_.async_wait(asio::ip::tcp::socket::wait_read, as_result);
  read_by_ = SteadyTime::max();
  co_return ec;
}

awaitable<Connection::Read> Connection::read_some(Buffer& into, SteadyTime by) {
  read_by_ = by;
  expired_ = false;
  const auto room = into.free();
  auto [ec, n] =
      co_await socket_.async_read_some(asio::buffer(room.data(), room.size()), as_result);
  read_by_ = SteadyTime::max();
  into.grow(n);
  read_ += n;
  co_return Read{ec, n};
}

awaitable<error_code> Connection::connect(const asio::ip::tcp::endpoint& to, SteadyTime by) {
  write_by_ = by;
  expired_ = false;
  auto [ec] = co_await socket_.async_connect(to, as_result);
  write_by_ = SteadyTime::max();
  if (ec) co_return ec;
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  co_return ec;
}

int Connection::peek() {
  char byte = 0;
  const auto n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return 1;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
  return -1;
}

bool Connection::quiet() {
  return socket_.is_open() && peek() == 0;
}

bool Connection::has_bytes() {
  return socket_.is_open() && peek() == 1;
}

void Connection::cancel() {
  error_code ignored;
  socket_.cancel(ignored);
}

void Connection::close() {
  error_code ignored;
  socket_.close(ignored);
}

void Connection::reset() {
  error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

void Connection::shutdown_send() {
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

void Connection::reset_deadlines() {
  read_by_ = SteadyTime::max();
  write_by_ = SteadyTime::max();
}

void Connection::sweep(SteadyTime now, bool look_for_leavers) {
  if (now >= read_by_ || now >= write_by_) {
    expired_ = true;
    reset_deadlines();
    cancel();
    return;
  }
  if (!look_for_leavers || watched_for_ == nullptr || !socket_.is_open()) return;
  const int seen = peek();
  if (seen == 0) return;
  // Bytes of a next request: this client is still there, and its leaving can no longer be seen.
  if (seen < 0) {
    peer_left_ = true;
    watched_for_->cancel();
  }
  watched_for_ = nullptr;
}

}  // namespace karreg::proxy
