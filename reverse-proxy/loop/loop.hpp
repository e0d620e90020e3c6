#pragma once
/// The event loop of one thread, over epoll: sockets, times, and calls from other threads. Why not
/// Asio's: a request through the proxy costs six system calls there and four here, with no
/// allocation for an operation; ./dev bench proxy compares.

#include <boost/intrusive/list.hpp>
#include <chrono>
#include <coroutine>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "reverse-proxy/loop/task.hpp"

namespace karreg::proxy {

using SteadyTime = std::chrono::steady_clock::time_point;

class Socket;
using ReadyHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
using ReadyList = boost::intrusive::list<Socket, boost::intrusive::base_hook<ReadyHook>,
                                         boost::intrusive::constant_time_size<false>>;

/// All functions are for the loop's own thread, but post() and stop().
class Loop {
 public:
  /// Throws std::system_error when the system gives no descriptors.
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Serves until stop(). What waits then is not resumed any more.
  void run();
  void stop();
  /// Has the loop call @p work.
  void post(std::function<void()> work);

  /// Starts @p task; @p name, a literal, stands in the log if it throws. It must end before the
  /// loop does.
  void spawn(const char* name, Task<void> task);
  /// Tasks that have not ended.
  std::size_t tasks() const { return tasks_; }
  /// Calls @p work each time the last task has ended. Before run().
  void when_idle(std::function<void()> work) { when_idle_ = std::move(work); }
  /// Calls @p work again and again, each time at least @p pause after the last. Before run().
  void every(std::chrono::milliseconds pause, std::function<void()> work);

  /// The clock as of this turn: at most as old as a turn takes, and free.
  SteadyTime now() const { return now_; }

  class [[nodiscard]] Sleep {
   public:
    Sleep(Loop& loop, SteadyTime until) : loop_(loop), until_(until) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) { loop_.times_.emplace(until_, waiting); }
    void await_resume() const noexcept {}

   private:
    Loop& loop_;
    SteadyTime until_;
  };
  Sleep sleep_for(std::chrono::milliseconds duration) { return {*this, now_ + duration}; }
  /// Lets the others have their turn.
  Sleep yield() { return {*this, SteadyTime::min()}; }
  /// Resumes @p waiting before the loop waits for the kernel again, but not within this call.
  void resume_soon(std::coroutine_handle<> waiting) { soon_.push_back(waiting); }

 private:
  friend class Socket;
  static detail::Started detached(Loop& loop, const char* name, Task<void> task);
  void take_posted();
  void resume_due();
  void resume_told();
  void tick();
  /// @p socket has operations to be attempted, in this turn or the next.
  void make_ready(Socket& socket);
  void dispatch_ready();
  int patience() const;

  int epoll_ = -1;
  int wake_ = -1;
  SteadyTime now_ = std::chrono::steady_clock::now();
  std::multimap<SteadyTime, std::coroutine_handle<>> times_;
  ReadyList ready_;
  std::vector<std::coroutine_handle<>> soon_;
  std::vector<std::coroutine_handle<>> told_;  ///< of this round; its memory is kept
  std::size_t tasks_ = 0;
  std::function<void()> when_idle_;
  std::function<void()> tick_;
  std::chrono::milliseconds tick_pause_{0};
  SteadyTime next_tick_ = SteadyTime::max();
  bool stopping_ = false;
  std::mutex mutex_;  ///< posted_
  std::vector<std::function<void()>> posted_;
};

}  // namespace karreg::proxy
