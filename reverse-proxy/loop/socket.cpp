#include "reverse-proxy/loop/socket.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace karreg::proxy {

Socket::Socket(Loop& loop, int fd) : loop_(loop), fd_(fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = this;
  if (::epoll_ctl(loop_.epoll_, EPOLL_CTL_ADD, fd, &event) == 0) return;
  const int why = errno;
  ::close(fd);
  throw std::system_error(why, std::system_category(), "epoll");
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

void Socket::heard(std::uint32_t events) {
  const bool over = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if ((events & EPOLLIN) != 0 || over) readable_ = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable_ = true;
  ended_ = ended_ || over;
  const bool news_for_reader = reading_ != nullptr && (readable_ || entwined_);
  const bool news_for_writer = writing_ != nullptr && (writable_ || entwined_);
  if (news_for_reader || news_for_writer) loop_.make_ready(*this);
}

void Socket::dispatch() {
  for (auto** slot : {&reading_, &writing_}) {
    auto* operation = *slot;
    if (operation == nullptr || (!operation->error && !operation->attempt())) continue;
    *slot = nullptr;
    // The other one has its turn after this one has been resumed, if this socket is there then.
    if (reading_ != nullptr || writing_ != nullptr) loop_.make_ready(*this);
    operation->waiting.resume();
    return;
  }
}

void Socket::cancel() {
  for (auto* operation : {reading_, writing_}) {
    if (operation == nullptr) continue;
    operation->error = aborted();
    loop_.make_ready(*this);
  }
}

void Socket::close() {
  if (fd_ < 0) return;
  // Closing takes it out of epoll as well: no other process has this descriptor.
  ::close(fd_);
  fd_ = -1;
  ended_ = true;
  cancel();
}

void Socket::hear_no_more() {
  if (fd_ < 0) return;
  ::epoll_ctl(loop_.epoll_, EPOLL_CTL_DEL, fd_, nullptr);
  readable_ = false;
  if (reading_ == nullptr) return;
  reading_->error = aborted();
  loop_.make_ready(*this);
}

void Socket::close_shared() {
  hear_no_more();
  close();
}

}  // namespace karreg::proxy
