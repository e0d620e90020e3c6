#include "reverse-proxy/master/orders.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "common/log.hpp"
#include "reverse-proxy/master/line.hpp"

namespace karreg::proxy {

namespace {
/// What @p header says of descriptors that have come.
std::vector<Descriptor> descriptors_in(msghdr& header) {
  std::vector<Descriptor> all;
  for (auto* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const auto count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      all.emplace_back(fd);
    }
  }
  return all;
}
}  // namespace

Orders::Orders(asio::any_io_executor executor, int fd) : line_(std::move(executor), fd) {}

awaitable<Orders::Order> Orders::next() {
  Order order;
  for (;;) {
    auto [ec] = co_await line_.async_wait(asio::posix::stream_descriptor::wait_read, as_result);
    if (ec) co_return order;
    // A read of a SOCK_SEQPACKET socket gives one message.
    std::string text(line::longest_message, '\0');
    alignas(cmsghdr) std::array<char, CMSG_SPACE(line::most_descriptors * sizeof(int))> control{};
    iovec bytes{text.data(), text.size()};
    msghdr header{};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const auto size = ::recvmsg(line_.native_handle(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size <= 0) co_return order;
    order.descriptors = descriptors_in(header);
    text.resize(static_cast<std::size_t>(size));
    const auto space = std::min(text.find(' '), text.size());
    order.word = text.substr(0, space);
    order.sentence = text.substr(std::min(space + 1, text.size()));
    co_return order;
  }
}

void Orders::say(std::string_view word, std::string_view sentence) {
  std::string message(word);
  if (!sentence.empty()) message.append(" ").append(sentence);
  message.resize(std::min(message.size(), line::longest_message));
  if (::send(line_.native_handle(), message.data(), message.size(), MSG_NOSIGNAL) < 0)
    log::error("the master does not hear", {log::field("told", word)});
}

}  // namespace karreg::proxy
