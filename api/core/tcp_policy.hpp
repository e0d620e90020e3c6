#pragma once

#include <chrono>

#include "common/port_range.hpp"

namespace karreg::api {

/// Which ports of TCP redirections may be given, and how.
struct TcpPolicy {
  PortRange ports;                          ///< empty: the platform has no TCP redirections
  int per_app = 0;                          ///< at most
  std::chrono::milliseconds quarantine{0};  ///< so long nobody else gets one that was given back
};

}  // namespace karreg::api
