#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

namespace karreg::db {

/// LISTEN on one channel with a connection and a thread of its own. Calls @p on_news on a
/// notification, after each (re)connection, and every @p at_least.
class Listener {
 public:
  Listener(const std::string& url, std::string channel, std::chrono::milliseconds at_least,
           std::function<void()> on_news);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  void stop();

 private:
  void run();
  void serve();
  std::string url_;
  std::string channel_;
  std::chrono::milliseconds at_least_;
  std::function<void()> on_news_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace karreg::db
