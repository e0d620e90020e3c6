#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

namespace karreg::proxy::rules {

/// Requests in hand of one application, all workers together. Any thread.
class AppInHand {
 public:
  /// Takes a place unless @p most are taken.
  bool enter(int most);
  void leave() { taken_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  std::atomic<int> taken_{0};
};

/// Requests in hand by visitor: he is counted at two places of 4096 each (a count-min sketch, 32
/// KiB), and the smaller count is his. It is never too small; too large only when both places are
/// shared with others who have requests in hand. Any thread.
class VisitorsInHand {
 public:
  VisitorsInHand();
  bool enter(int most, std::uint64_t key);
  void leave(std::uint64_t key);
  std::uint64_t secret() const { return secret_; }

 private:
  using Row = std::array<std::atomic<int>, 4096>;
  std::atomic<int>& first(std::uint64_t key) { return (*rows_)[0][key % 4096]; }
  std::atomic<int>& second(std::uint64_t key) { return (*rows_)[1][(key >> 32U) % 4096]; }
  const std::uint64_t secret_;
  std::unique_ptr<std::array<Row, 2>> rows_;
};

/// The places that one request has taken, given back when this ends.
class Places {
 public:
  Places() = default;
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;
  ~Places() { leave(); }

  /// False: there is none; what was taken before stays.
  bool enter(const std::shared_ptr<AppInHand>& app, int most);
  bool enter(const std::shared_ptr<VisitorsInHand>& visitors, int most, std::uint64_t key);
  void leave();

 private:
  std::shared_ptr<AppInHand> app_;
  std::shared_ptr<VisitorsInHand> visitors_;
  std::uint64_t key_ = 0;
};

}  // namespace karreg::proxy::rules
