#pragma once

#include <string>
#include <vector>

#include "api/core/tcp_policy.hpp"
#include "common/broker/settings.hpp"
#include "common/config.hpp"

namespace karreg::api {

struct Settings {
  std::string data_dir;
  std::string repositories;  ///< <data>/repos
  Endpoint listen;
  std::string public_url;   ///< how clients reach this API, no trailing slash
  std::string public_host;  ///< of public_url, lower case: no application can have it
  std::string webui_dir;
  std::string apps_domain;  ///< apps get <name>.<apps_domain>
  std::string apps_scheme;
  int apps_port = 80;
  std::string hook_socket;
  std::int64_t max_push_bytes = 0;
  TcpPolicy tcp;
  std::chrono::milliseconds shortest_sleep_after{60'000};  ///< that an owner may choose
  std::size_t log_readers = 0;
  std::size_t log_readers_per_user = 0;
  std::string database_url;
  std::string key_file;
  broker::Address broker;
};

std::vector<Setting> declared_settings();
Result<Settings> read_settings(const Config& config);

}  // namespace karreg::api
