#pragma once
/// Brings each application's requests to its access stream (docs/contracts.md §2), for its owner.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/broker/publisher.hpp"
#include "common/wire/logs.hpp"
#include "reverse-proxy/access_log.hpp"

namespace karreg::proxy {

/// Collects lines from all workers and publishes them in batches, on threads of its own. What waits
/// for the broker is bounded; what comes beyond that is dropped, counted, and told to the owner in
/// the next batch that goes.
class AccessStreams final : public AccessSink {
 public:
  static constexpr std::size_t most_bytes = 32UL * 1024 * 1024;

  explicit AccessStreams(const broker::Address& address);
  /// Publishes what it has, if the broker takes it within a second.
  ~AccessStreams() override;
  AccessStreams(const AccessStreams&) = delete;
  AccessStreams& operator=(const AccessStreams&) = delete;

  /// Any thread. A request of no application is passed over.
  void write(const AccessRecord& record) override;
  std::uint64_t dropped() const override { return dropped_.load(std::memory_order_relaxed); }

 private:
  struct Waiting {
    wire::LogBatch batch;
    std::size_t bytes = 0;
  };
  /// Each but the last of an application is full.
  using ByApp = std::unordered_map<std::string, std::vector<Waiting>>;
  Waiting& open_batch(std::string_view app);
  void run();
  void publish(ByApp& all);
  void publish(const std::string& app, Waiting waiting);

  std::atomic<std::size_t> bytes_{0};  ///< that wait here or at the publisher
  std::atomic<std::uint64_t> dropped_{0};
  broker::Publisher publisher_;
  std::mutex mutex_;
  std::condition_variable wake_;
  ByApp waiting_;
  bool full_ = false;  ///< there is a batch that need not wait longer
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace karreg::proxy
