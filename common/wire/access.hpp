#pragma once
/// The access log of an application: messages of the stream queue `access.<app_id>`
/// (docs/contracts.md §2) are LogBatches of the service "access", and the text of each line is one
/// AccessEntry as JSON.

#include <cstdint>
#include <string>

#include "common/json.hpp"

namespace karreg::wire {

/// A request, or a connection of a TCP service, that is over.
struct AccessEntry {
  std::string client;  ///< IP address
  std::string method;
  std::string scheme;  ///< "http", "https", "tcp" or "udp"
  std::string host;
  std::string path;      ///< with its query; cut after 2 048 bytes
  std::string protocol;  ///< "HTTP/1.1", "HTTP/2.0", "tcp", "udp"
  int port = 0;          ///< of a TCP service, which has no method, host, path and status
  int status = 0;        ///< 499: the client left before the answer was complete
  double ms = 0;         ///< from its first byte to the answer's last
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::string request_id;
  std::string trace_id;
  std::string instance_id;  ///< empty: no instance answered
  std::string user_agent;
  std::string error;  ///< why it did not go well; empty: it did
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(AccessEntry, client, method, scheme, host, path,
                                              protocol, port, status, ms, bytes_in, bytes_out,
                                              request_id, trace_id, instance_id, user_agent, error)
};

inline constexpr const char* access_service = "access";

}  // namespace karreg::wire
