#pragma once
/// The way of a VM's lines: from the guest's batches to batches of one service each, acknowledged
/// to the guest only when they are safe. Lives on the agent's executor.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/async/asio.hpp"
#include "common/wire/host.hpp"
#include "hypervisor-agent/uplink.hpp"

namespace karreg::agent {

/// The service that a line of @p stream of a VM of @p kind belongs to: "app" or, of a job VM, "job"
/// (out, err), "build" or "karreg".
std::string service_of(const std::string& stream, const std::string& kind);

class LogRelay : public std::enable_shared_from_this<LogRelay> {
 public:
  /// More than this much text of one VM never waits for the broker. A guest that keeps to its
  /// window (256 KiB unacknowledged) does not reach it; beyond, lines are dropped and counted.
  static constexpr std::size_t capacity_bytes = 1024UL * 1024;
  static constexpr std::size_t kept_lines = 20;

  /// @p acknowledge is called on @p executor with the number of a batch when it and all before are
  /// safe.
  LogRelay(asio::any_io_executor executor, Uplink& uplink, const wire::VmSpec& spec,
           std::function<void(std::uint64_t)> acknowledge);

  /// A batch of the guest. One that was taken before (the guest repeats what is not acknowledged)
  /// is passed over.
  void take(const wire::guest::Log& log);
  /// Offers again what the uplink refused.
  void retry();
  /// The end of what was printed, at most `kept_lines`, oldest first.
  std::vector<std::string> last_lines() const { return {last_lines_.begin(), last_lines_.end()}; }
  /// Text that is not confirmed yet.
  std::size_t waiting_bytes() const { return queued_bytes_ + sent_bytes_; }

 private:
  struct Part {
    wire::LogBatch batch;
    std::size_t bytes;
    std::uint64_t completes;  ///< the guest's batch that ends with this part; 0: none
  };
  void enqueue(Part part);
  void drop(const Part& part);
  void confirmed(std::size_t bytes, std::uint64_t completes);
  void settle();

  asio::any_io_executor executor_;
  Uplink& uplink_;
  wire::LogBatch head_;  ///< what all batches of this VM have in common
  std::string kind_;
  std::function<void(std::uint64_t)> acknowledge_;
  std::deque<std::string> last_lines_;
  std::uint64_t taken_ = 0;
  std::uint64_t dropped_ = 0;
  std::deque<Part> queue_;  ///< not given to the uplink yet
  std::size_t queued_bytes_ = 0;
  std::size_t sent_bytes_ = 0;
  std::uint64_t owed_ = 0;  ///< a batch to acknowledge as soon as nothing is on its way
};

}  // namespace karreg::agent
