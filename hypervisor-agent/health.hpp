#pragma once
/// Is an instance fit for requests? Checked through the address that proxies use.

#include <string>

#include "common/async/asio.hpp"
#include "common/error.hpp"
#include "common/wire/host.hpp"

namespace karreg::agent {

/// What a series of checks says. Pure.
class HealthRecord {
 public:
  explicit HealthRecord(int failures_to_unhealthy)
      : failures_to_unhealthy_(failures_to_unhealthy < 1 ? 1 : failures_to_unhealthy) {}
  /// One good check makes healthy; so many bad ones in a row make unhealthy. True when the verdict
  /// changed.
  bool observe(bool good);
  /// Unhealthy at once: what is known needs no second look. True when the verdict changed.
  bool condemn();
  bool healthy() const { return healthy_; }

 private:
  int failures_to_unhealthy_;
  int failures_ = 0;
  bool healthy_ = false;
};

/// One check of @p address ("host:port") within @p check.timeout_ms. Without a path: a connection
/// is accepted and not cut at once (the VM's network accepts for a guest that listens no more, and
/// cuts then). With a path: GET answers 2xx or 3xx. Error `unavailable` with a sentence otherwise.
awaitable<Result<void>> check_health(std::string address, wire::HealthCheck check);

}  // namespace karreg::agent
