#pragma once
/// What the builder says in the app's own log.

#include <chrono>
#include <string>
#include <vector>

#include "common/broker/publisher.hpp"

namespace karreg::builder {

class AppLog {
 public:
  AppLog(broker::Publisher& publisher, std::chrono::milliseconds patience)
      : publisher_(publisher), patience_(patience) {}

  /// Publishes @p lines as service "karreg" and waits up to the patience for the broker, so that
  /// they stand before what follows from them. A log that cannot be written stops nothing.
  void write(const std::string& app_id, const std::string& deployment_id,
             const std::vector<std::string>& lines);

 private:
  broker::Publisher& publisher_;
  std::chrono::milliseconds patience_;
};

}  // namespace karreg::builder
