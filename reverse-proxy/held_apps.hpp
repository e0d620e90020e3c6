#pragma once
/// For which applications, which sleep, requests are held: what all workers together know of it,
/// for who tells the scheduler.

#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace karreg::proxy {

/// All functions may be called by any thread. Only requests for applications that sleep come here.
class HeldApps {
 public:
  /// Calls @p tell, which must not block, each time that an application of which none was held has
  /// its first one. Before the first request.
  void when_new(std::function<void()> tell) { tell_ = std::move(tell); }

  void add(const std::string& app) {
    bool fresh = false;
    {
      const std::lock_guard lock(mutex_);
      fresh = ++held_[app] == 1;
    }
    if (fresh && tell_) tell_();
  }
  void remove(const std::string& app) {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(app);
    if (--found->second == 0) held_.erase(found);
  }
  /// Requests held now, by application; those without one are not in it.
  std::map<std::string, int> now() const {
    const std::lock_guard lock(mutex_);
    return held_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int> held_;
  std::function<void()> tell_;
};

}  // namespace karreg::proxy
