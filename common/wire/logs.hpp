#pragma once
/// Application logs: one message of the stream queue `logs.<app_id>` (docs/contracts.md §2).

#include <cstdint>
#include <string>
#include <vector>

#include "common/json.hpp"
#include "common/wire/guest.hpp"

namespace karreg::wire {

/// Lines of one source, oldest first. @c service: "app" (what the app and its workers printed),
/// "job" (job VM), "build" (build VM), "karreg" (what the platform does).
/// @c dropped: lines lost before these because a bounded buffer was full; readers show it.
struct LogBatch {
  std::string app_id;
  std::string deployment_id;
  std::string instance_id;  ///< empty for the platform's own lines
  std::string service;
  std::uint64_t dropped = 0;
  std::vector<guest::LogLine> lines;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(LogBatch, app_id, deployment_id, instance_id, service,
                                              dropped, lines)
};

}  // namespace karreg::wire
