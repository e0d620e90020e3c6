#pragma once

#include <functional>

#include "common/broker/consumer.hpp"
#include "common/broker/publisher.hpp"
#include "hypervisor-agent/uplink.hpp"

namespace karreg::agent {

/// The agent's conversation over the broker (docs/contracts.md §2): desired states in, reports and
/// log lines out.
class BrokerLink final : public Uplink {
 public:
  explicit BrokerLink(const broker::Address& address);

  /// Begins to consume the queue of @p host_id. @p on_desired and @p on_connected (a report may
  /// have been missed) are called on the link's thread.
  void listen(const std::string& host_id, std::function<void(wire::HostDesired)> on_desired,
              std::function<void()> on_connected);
  /// No more desired states.
  void stop_listening() { consumer_.reset(); }
  /// Waits for what was published, up to @p timeout.
  void stop(std::chrono::milliseconds timeout) { publisher_.stop(timeout); }

  Result<void> report(const wire::HostReport& report, Done done) override;
  Result<void> log(const wire::LogBatch& batch, Done done) override;

 private:
  broker::Address address_;
  broker::Publisher publisher_;
  std::unique_ptr<broker::Consumer> consumer_;
};

}  // namespace karreg::agent
