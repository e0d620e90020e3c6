#pragma once
/// Commands that run once, in VMs of their own: release commands, crons, tasks. Every function
/// works in the caller's transaction.

#include <pqxx/pqxx>
#include <vector>

#include "api/core/model.hpp"
#include "common/wire/plan.hpp"

namespace karreg::api {

/// What a task is to be.
struct TaskRequest {
  std::string command;
  std::string author;
  std::string flavor;        ///< empty: that of the version in service
  std::int64_t wall_ms = 0;  ///< it is ended after it
};

/// Records a task of the version in service, or of the last one that was, and wakes the scheduler.
/// Error `conflict`: there is none whose artifact is kept, or as many tasks as an app may have are
/// open.
Result<Job> request_task(pqxx::work& work, const App& app, const TaskRequest& request);
/// Newest first, of one kind unless @p kind is empty; at most @p limit.
std::vector<Job> list_jobs(pqxx::work& work, const std::string& app_id, const std::string& kind,
                           int limit);
/// Error `not_found`.
Result<Job> get_job(pqxx::work& work, const std::string& app_id, const std::string& id);
/// Asks for its end. Error `conflict` when it is over, or is the release command of a deployment.
Result<void> cancel_job(pqxx::work& work, const Job& job);

/// An entry of the cron of the version in service, and its last run, if there was one.
struct Cron {
  wire::CronEntry entry;
  std::optional<Job> last;
};
/// None when nothing serves.
std::vector<Cron> list_crons(pqxx::work& work, const std::string& app_id);

}  // namespace karreg::api
