#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "scheduler/certificates/acme_client.hpp"
#include "scheduler/certificates/plan.hpp"

namespace karreg::scheduler::certificates {

struct Settings {
  Rules rules;
  AcmeServer server;
  std::string challenge;               ///< kind, for names without "*."
  std::string dns_hook;                ///< empty: there is none
  std::filesystem::path local_folder;  ///< where the root is shown; empty: no authority of our own
};

/// Those of the section [scheduler] that are about certificates.
std::vector<Setting> declared_settings();
/// Error `invalid` names the setting.
Result<Settings> read_settings(const Config& config);

}  // namespace karreg::scheduler::certificates
