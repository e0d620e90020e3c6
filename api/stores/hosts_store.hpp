#pragma once
/// The machines of the platform, for people who want to know what their apps run on.

#include <pqxx/pqxx>
#include <string>
#include <vector>

namespace karreg::api {

struct Host {
  std::string id;
  std::string accelerator;         ///< "kvm" or "tcg"
  std::string accelerator_detail;  ///< the measured figures that it follows from
  std::int64_t memory_mb = 0;
  int vcpus = 0;
  bool builds = true;  ///< it shares the data folder, which builds need
  std::int64_t last_seen_ms = 0;
  std::int64_t silent_ms = 0;  ///< since its last report, by the database's clock
};

/// Every machine that ever reported, by id.
std::vector<Host> list_hosts(pqxx::work& work);

}  // namespace karreg::api
