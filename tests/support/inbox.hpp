#pragma once
// What programs tell each other over the broker, as a test hears it.

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "common/broker/consumer.hpp"
#include "common/ids.hpp"

namespace karreg::test {

/// Collects what is published under one routing key.
class Inbox {
 public:
  Inbox(const broker::Address& broker, const std::string& key)
      : consumer_(
            broker, {"test." + ids::uuid(), false, true, false, std::nullopt, {key}},
            [this](const broker::Delivery& delivery) {
              const std::lock_guard lock(mutex_);
              bodies_.push_back(delivery.body);
              changed_.notify_all();
              return broker::Disposition::ack;
            },
            [this] {
              const std::lock_guard lock(mutex_);
              connected_ = true;
              changed_.notify_all();
            }) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(10), [this] { return connected_; }));
  }
  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return bodies_.size() >= count; });
    return bodies_;
  }
  /// Returns when @p wanted came; the test fails when it does not.
  void await(const std::function<bool(const std::string& body)>& wanted) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(30),
                              [&] { return std::ranges::any_of(bodies_, wanted); }));
  }
  /// What came up to and including @p body; the test fails when that does not come.
  std::vector<std::string> wait_for(const std::string& body) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(30),
                              [&] { return !bodies_.empty() && bodies_.back() == body; }));
    return bodies_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> bodies_;
  bool connected_ = false;
  broker::Consumer consumer_;
};

}  // namespace karreg::test
