#pragma once

#include <string>
#include <vector>

#include "common/broker/settings.hpp"
#include "common/config.hpp"
#include "scheduler/certificates/settings.hpp"
#include "scheduler/core/world.hpp"

namespace karreg::scheduler {

struct Settings {
  std::string database_url;
  broker::Address broker;
  std::string images_dir;
  std::string key_file;
  milliseconds start_timeout{};
  Policy policy;
  certificates::Settings certificates;
};

std::vector<Setting> declared_settings();
Result<Settings> read_settings(const Config& config);

}  // namespace karreg::scheduler
