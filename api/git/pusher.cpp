#include "api/git/pusher.hpp"

#include <sys/socket.h>

#include <boost/asio/write.hpp>
#include <cerrno>

#include "api/git/push_rules.hpp"
#include "common/json.hpp"

namespace karreg::api::git {

namespace {
std::string one_line(const nlohmann::json& message) {
  return message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}
}  // namespace

awaitable<void> Pusher::hello() {
  co_await put(one_line({{"type", "hello"}}));
}

awaitable<void> Pusher::line(std::string text) {
  co_await put(one_line({{"type", "line"}, {"text", std::move(text)}}));
}

awaitable<void> Pusher::accept(std::string ref) {
  co_await put(
      one_line({{"type", "result"}, {"ref", std::move(ref)}, {"ok", true}, {"git_moves", true}}));
}

awaitable<void> Pusher::moved(std::string ref, std::string was) {
  co_await put(one_line(
      {{"type", "result"}, {"ref", std::move(ref)}, {"ok", true}, {"was", std::move(was)}}));
}

awaitable<void> Pusher::refuse(std::string ref, std::string reason) {
  co_await put(one_line({{"type", "result"},
                         {"ref", std::move(ref)},
                         {"ok", false},
                         {"reason", reason_line(reason)}}));
}

awaitable<void> Pusher::end() {
  co_await put(one_line({{"type", "end"}}));
}

bool Pusher::gone() {
  if (gone_) return true;
  char byte = 0;
  const ssize_t n = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  gone_ = n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  return gone_;
}

awaitable<void> Pusher::put(std::string message) {
  if (gone_) co_return;
  auto [ec, n] = co_await asio::async_write(socket_, asio::buffer(message), as_result);
  if (ec) gone_ = true;
}

}  // namespace karreg::api::git
