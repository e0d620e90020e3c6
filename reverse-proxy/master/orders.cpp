#include "reverse-proxy/master/orders.hpp"

#include <sys/socket.h>

#include <array>

#include "common/log.hpp"
#include "reverse-proxy/master/line.hpp"

namespace karreg::proxy {

Orders::Orders(asio::any_io_executor executor, int fd) : line_(std::move(executor), fd) {}

awaitable<std::string> Orders::next() {
  std::array<char, line::longest_message> bytes{};
  // A read of a SOCK_SEQPACKET socket gives one message.
  auto [ec, size] = co_await line_.async_read_some(asio::buffer(bytes), as_result);
  co_return ec ? std::string() : std::string(bytes.data(), size);
}

void Orders::say(std::string_view word, std::string_view sentence) {
  std::string message(word);
  if (!sentence.empty()) message.append(" ").append(sentence);
  message.resize(std::min(message.size(), line::longest_message));
  if (::send(line_.native_handle(), message.data(), message.size(), MSG_NOSIGNAL) < 0)
    log::error("the master does not hear", {log::field("told", word)});
}

}  // namespace karreg::proxy
