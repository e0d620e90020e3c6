#pragma once

#include <string>
#include <vector>

#include "common/config.hpp"

namespace karreg::broker {

/// Where the broker is.
struct Address {
  std::string host = "127.0.0.1";
  int port = 5672;
  std::string user = "guest";
  std::string password = "guest";
  std::string vhost = "/";
};

/// The settings [broker] of every daemon.
std::vector<Setting> settings();
Result<Address> address(const Config& config);
/// "amqp://user:password@host:port/vhost" (tests).
Result<Address> parse_address(const std::string& url);

}  // namespace karreg::broker
