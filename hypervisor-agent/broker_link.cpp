#include "hypervisor-agent/broker_link.hpp"

#include "common/broker/topology.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"

namespace karreg::agent {

BrokerLink::BrokerLink(const broker::Address& address) : address_(address), publisher_(address) {}

void BrokerLink::listen(const std::string& host_id,
                        std::function<void(wire::HostDesired)> on_desired,
                        std::function<void()> on_connected) {
  auto handler = [host_id, on_desired = std::move(on_desired)](const broker::Delivery& delivery) {
    auto desired = wire::from_text<wire::HostDesired>(delivery.body, "HostDesired");
    if (!desired || desired->host_id != host_id) {
      log::error("unusable desired state",
                 {log::field("why", desired ? "it is for host " + desired->host_id
                                            : desired.error().message())});
      return broker::Disposition::reject;
    }
    // Taken to heart before it is on disk: a lost one is sent again when the next report shows an
    // old generation.
    on_desired(std::move(*desired));
    return broker::Disposition::ack;
  };
  consumer_ = std::make_unique<broker::Consumer>(address_, broker::host_queue(host_id),
                                                 std::move(handler), std::move(on_connected));
}

Result<void> BrokerLink::report(const wire::HostReport& report, Done done) {
  return publisher_.publish(broker::key::scheduler_host, wire::to_text(report), std::move(done));
}

Result<void> BrokerLink::log(const wire::LogBatch& batch, Done done) {
  return publisher_.publish_to_stream(broker::log_stream(batch.app_id), wire::to_text(batch),
                                      std::move(done));
}

}  // namespace karreg::agent
