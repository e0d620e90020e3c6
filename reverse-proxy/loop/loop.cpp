#include "reverse-proxy/loop/loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <system_error>

#include "common/log.hpp"
#include "reverse-proxy/loop/socket.hpp"

namespace karreg::proxy {

namespace {
/// Events taken from the kernel at once.
constexpr std::size_t batch = 256;
constexpr int rounds_of_told = 4;

int or_throw(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::system_category(), what);
  return fd;
}
}  // namespace

Loop::Loop() : epoll_(or_throw(::epoll_create1(EPOLL_CLOEXEC), "epoll")) {
  wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  if (wake_ >= 0 && ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0) return;
  const int why = errno;
  if (wake_ >= 0) ::close(wake_);
  ::close(epoll_);
  throw std::system_error(why, std::system_category(), "eventfd");
}

Loop::~Loop() {
  ::close(wake_);
  ::close(epoll_);
}

void Loop::run() {
  std::array<epoll_event, batch> events;  // NOLINT(*-member-init): the kernel writes it
  while (!stopping_) {
    const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), patience());
    now_ = std::chrono::steady_clock::now();
    bool woken = false;
    // First what the kernel says of all, then what follows from it: nobody is resumed while there
    // are events left that may name a socket he closes.
    for (int i = 0; i < n; ++i) {
      const auto& event = events.at(static_cast<std::size_t>(i));
      if (event.data.ptr == nullptr)
        woken = true;
      else
        static_cast<Socket*>(event.data.ptr)->heard(event.events);
    }
    if (woken) take_posted();
    tick();
    resume_due();
    dispatch_ready();
    resume_told();
  }
}

void Loop::stop() {
  post([this] { stopping_ = true; });
}

void Loop::post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  posted_.push_back(std::move(work));
  const std::uint64_t one = 1;
  // Full only after 2^64 - 2 calls that nobody took: the loop is awake then.
  (void)!::write(wake_, &one, sizeof one);
}

void Loop::take_posted() {
  std::uint64_t count = 0;
  (void)!::read(wake_, &count, sizeof count);
  std::vector<std::function<void()>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (const auto& work : posted) work();
}

void Loop::resume_due() {
  // What is added meanwhile is for the next turn.
  const auto due = times_.upper_bound(now_);
  std::vector<std::coroutine_handle<>> waiting;
  for (auto it = times_.begin(); it != due; ++it) waiting.push_back(it->second);
  times_.erase(times_.begin(), due);
  for (auto handle : waiting) handle.resume();
}

void Loop::resume_told() {
  // In rounds: what is told in the last one waits for the next turn, so that two coroutines that
  // tell each other cannot keep the kernel's news from the rest.
  for (int round = 0; round < rounds_of_told && !soon_.empty(); ++round) {
    told_.swap(soon_);
    for (auto handle : told_) handle.resume();
    told_.clear();
    dispatch_ready();
  }
}

void Loop::every(std::chrono::milliseconds pause, std::function<void()> work) {
  tick_ = std::move(work);
  tick_pause_ = pause;
  next_tick_ = now_ + pause;
}

void Loop::tick() {
  if (now_ < next_tick_) return;
  next_tick_ = now_ + tick_pause_;
  tick_();
}

void Loop::make_ready(Socket& socket) {
  if (!socket.is_linked()) ready_.push_back(socket);
}

void Loop::dispatch_ready() {
  ReadyList turn;
  turn.swap(ready_);
  while (!turn.empty()) {
    auto& socket = turn.front();
    turn.pop_front();
    socket.dispatch();
  }
}

int Loop::patience() const {
  using std::chrono::milliseconds;
  if (!ready_.empty() || !soon_.empty()) return 0;
  const auto first = times_.empty() ? next_tick_ : std::min(next_tick_, times_.begin()->first);
  if (first == SteadyTime::max()) return -1;
  if (first <= now_) return 0;
  const auto left = std::chrono::ceil<milliseconds>(first - now_).count();
  return static_cast<int>(std::min<milliseconds::rep>(left, INT_MAX));
}

detail::Started Loop::detached(Loop& loop, const char* name, Task<void> task) {
  ++loop.tasks_;
  try {
    co_await std::move(task);
  } catch (const std::exception& e) {
    log::error("task failed", {log::field("task", name), log::field("why", e.what())});
  } catch (...) {
    log::error("task failed with something unknown", {log::field("task", name)});
  }
  if (--loop.tasks_ == 0 && loop.when_idle_) loop.when_idle_();
  co_return std::noop_coroutine();
}

void Loop::spawn(const char* name, Task<void> task) {
  detached(*this, name, std::move(task));
}

}  // namespace karreg::proxy
