#pragma once
/// The settings of karreg-builder, declared once and read into values.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/broker/settings.hpp"
#include "common/config.hpp"
#include "common/error.hpp"

namespace karreg::builder {

struct Options {
  std::filesystem::path data;
  std::filesystem::path images;
  std::filesystem::path image_command;  ///< empty: the operator makes images
  bool image_packages = true;           ///< may apps ask for packages of Debian?
  std::string database_url;
  broker::Address broker;
  std::string key_file;
  int parallel = 2;
  std::chrono::milliseconds lease{};
  std::chrono::milliseconds poll{};
  std::int64_t wall_ms = 0;
  std::int64_t output_max_bytes = 0;
  std::int64_t source_max_bytes = 0;
  std::int64_t file_max_bytes = 0;
  std::int64_t source_max_files = 0;
  std::int64_t min_free_bytes = 0;
  std::int64_t build_disk_bytes = 0;  ///< 0: what its disks can hold
  std::chrono::milliseconds space_wait{};
  std::optional<Endpoint> store_listen = {};  ///< nothing: agents share the data folder
  std::string store_token;
};

/// Every setting that karreg-builder reads.
std::vector<Setting> settings();
/// Error `invalid` names the setting.
Result<Options> options(const Config& config);

}  // namespace karreg::builder
