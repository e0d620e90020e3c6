#pragma once
/// Where an agent's reports and its guests' lines go.

#include <functional>
#include <string>

#include "common/error.hpp"
#include "common/wire/host.hpp"
#include "common/wire/logs.hpp"

namespace karreg::agent {

class Uplink {
 public:
  /// Called once, on any thread: ok when the message is safe with the other side.
  using Done = std::function<void(Result<void>)>;
  virtual ~Uplink() = default;
  /// Error `unavailable`: not taken, @p done will not be called.
  virtual Result<void> report(const wire::HostReport& report, Done done) = 0;
  /// The same for lines of an application's log. Batches arrive in the order of the calls.
  virtual Result<void> log(const wire::LogBatch& batch, Done done) = 0;
};

}  // namespace karreg::agent
