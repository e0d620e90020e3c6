#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/broker/settings.hpp"
#include "common/config.hpp"
#include "common/port_range.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

/// Validated settings of one proxy.
struct Settings {
  std::string id;
  ProxyOptions options;
  Endpoint admin_listen;
  std::string tcp_listen;  ///< address of TCP services; empty: there are none
  PortRange tcp_ports;     ///< that they may get
  std::string access_log;
  AccessFormat access_log_format = AccessFormat::json;
  bool access_streams = true;
  std::string user;  ///< that the serving process becomes; empty: it stays who it is
  bool sandbox = true;
  std::filesystem::path certificates;  ///< folder; empty: there is none
  std::chrono::milliseconds drain_time{};
  std::chrono::milliseconds leave_time{};    ///< after another process took over
  std::filesystem::path saved_routes;        ///< <data>/proxy/<id>.json
  std::filesystem::path saved_certificates;  ///< <data>/proxy/<id>.certificates
  std::string key_file;                      ///< empty: the platform's certificates are not used
  broker::Address broker;
};

std::vector<Setting> declared_settings();
/// Error `invalid` names the setting.
Result<Settings> read_settings(const Config& config);

}  // namespace karreg::proxy
