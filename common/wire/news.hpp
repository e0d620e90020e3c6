#pragma once
/// News: "look again" messages and events for people. Losing one costs latency only.

#include <cstdint>
#include <string>

#include "common/json.hpp"

namespace karreg::wire {

/// api, builder -> scheduler and scheduler -> builder: something changed in the database.
struct Wake {
  std::string reason;
  std::string app_id;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(Wake, reason, app_id)
};

/// scheduler, api -> every api: shown on event streams and used to wake waiting pushes. @c event:
/// DEPLOYMENT_ACTION_BEGIN, DEPLOYMENT_ACTION_END, DEPLOYMENT_PHASE, INSTANCE_CHANGE,
/// APPLICATION_CHANGE, JOB_CHANGE (of which @c state is that of the job), IMAGE_OUTDATED (the app
/// runs on @c old_image, and there is @c image).
struct PlatformEvent {
  std::string event;
  std::int64_t time_ms = 0;
  std::string app_id;
  std::string deployment_uuid;
  int deployment_number = 0;
  std::string state;  ///< of the deployment
  std::string phase;
  std::string action;
  std::string commit;
  std::string cause;
  std::string job_id = {};
  std::string runtime = {};    ///< of IMAGE_OUTDATED, as what follows
  std::string image = {};      ///< digest
  std::string old_image = {};  ///< digest
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(PlatformEvent, event, time_ms, app_id,
                                              deployment_uuid, deployment_number, state, phase,
                                              action, commit, cause, job_id, runtime, image,
                                              old_image)
};

}  // namespace karreg::wire
