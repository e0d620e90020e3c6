#include "hypervisor-agent/guest_link.hpp"

#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "common/async/task_group.hpp"

namespace karreg::agent {

namespace msg = wire::guest;
using namespace std::chrono_literals;

namespace {
/// Messages that wait for a guest that does not read; more means that it is not one of ours.
constexpr std::size_t max_outgoing = 64;
}  // namespace

GuestLink::GuestLink(const asio::any_io_executor& executor, std::string socket_path)
    : path_(std::move(socket_path)), socket_(executor), wake_(executor), pong_due_(executor) {}

awaitable<bool> GuestLink::converse(OnMessage on_message) {
  if (closed_) co_return false;
  auto executor = co_await asio::this_coro::executor;
  socket_ = Socket(executor);
  auto [refused] = co_await socket_.async_connect(path_, as_result);
  if (refused || closed_) co_return false;
  connected_ = true;
  outgoing_.clear();
  ack_.reset();
  send(msg::Attach{});
  if (ponged_ != pinged_) send(msg::Ping{pinged_});
  TaskGroup writer(executor);
  writer.spawn("guest writer", write_lines());
  std::string buffer;
  for (;;) {
    auto [ec, n] = co_await asio::async_read_until(
        socket_, asio::dynamic_buffer(buffer, msg::max_line_bytes + 1), '\n', as_result);
    if (ec == asio::error::not_found) {
      // Over the bound: what comes up to the next newline is the rest of it, and no message.
      buffer.clear();
      continue;
    }
    if (ec) break;
    auto message = msg::decode<msg::FromGuest>(std::string_view(buffer).substr(0, n - 1));
    buffer.erase(0, n);
    if (!message) continue;
    if (const auto* pong = std::get_if<msg::Pong>(&*message))
      take(*pong);
    else
      on_message(*message);
  }
  connected_ = false;
  error_code ignored;
  socket_.close(ignored);
  wake_.cancel();
  co_await writer.stop(0ms);
  co_return true;
}

void GuestLink::take(const msg::Pong& pong) {
  // An answer to an older question says how it was then.
  if (pong.id != pinged_) return;
  ponged_ = pong.id;
  pong_due_.cancel();
}

awaitable<bool> GuestLink::ping(std::chrono::milliseconds timeout) {
  if (closed_) co_return false;
  send(msg::Ping{++pinged_});
  pong_due_.expires_after(timeout);
  co_await pong_due_.async_wait(as_result);
  const bool answered = ponged_ == pinged_;
  ponged_ = pinged_;  // nobody waits for it any more
  co_return answered;
}

void GuestLink::push(std::string line) {
  if (!connected_) return;
  if (outgoing_.size() >= max_outgoing) {
    error_code ignored;
    socket_.close(ignored);
    return;
  }
  outgoing_.push_back(std::move(line));
  wake_.cancel();
}

void GuestLink::acknowledge(std::uint64_t seq) {
  if (!connected_) return;
  ack_ = std::max(ack_.value_or(0), seq);
  wake_.cancel();
}

std::optional<std::string> GuestLink::next_line() {
  if (!outgoing_.empty()) {
    std::string line = std::move(outgoing_.front());
    outgoing_.pop_front();
    return line;
  }
  if (ack_) return msg::encode(msg::LogAck{*std::exchange(ack_, std::nullopt)});
  return std::nullopt;
}

awaitable<void> GuestLink::write_lines() {
  while (connected_) {
    auto line = next_line();
    if (!line) {
      wake_.expires_at(SteadyTime::max());
      co_await wake_.async_wait(as_result);
      continue;
    }
    *line += '\n';
    auto [ec, n] = co_await asio::async_write(socket_, asio::buffer(*line), as_result);
    if (ec) co_return;
  }
}

void GuestLink::close() {
  closed_ = true;
  pong_due_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace karreg::agent
