#pragma once

#include <string>

#include "common/async/asio.hpp"
#include "hypervisor-agent/uplink.hpp"

namespace karreg::agent {

/// For people who debug an agent without a platform: the desired state is a file, reports and log
/// lines are printed on stdout as {"report": ...} and {"log": ...}, one a line.
class FileLink final : public Uplink {
 public:
  Result<void> report(const wire::HostReport& report, Done done) override;
  Result<void> log(const wire::LogBatch& batch, Done done) override;
};

/// The desired state in @p path. Error `not_found` or `invalid`.
Result<wire::HostDesired> read_desired(const std::string& path);

}  // namespace karreg::agent
