// Commands that run once, in VMs of their own: tasks that owners ask for, and what crons and
// release commands did (docs/processes.md).
#include "api/clever/objects.hpp"
#include "api/clever/resources.hpp"
#include "api/core/parameters.hpp"
#include "api/stores/apps_store.hpp"
#include "api/stores/jobs_store.hpp"
#include "common/clock.hpp"
#include "common/cron.hpp"
#include "common/text.hpp"

namespace karreg::api::clever {

using nlohmann::json;

namespace {

constexpr std::int64_t usual_time_limit_s = 3600;
constexpr std::int64_t longest_time_limit_s = 24 * 3600;
constexpr std::size_t max_command_bytes = std::size_t{32} * 1024;
constexpr const char* usual_limit = "50";
constexpr int most_listed = 1000;

Result<TaskRequest> task_request(const json& body) {
  TaskRequest request;
  auto command = field<std::string>(body, "command", "");
  if (!command) return command.error();
  if (text::trimmed(*command).empty())
    return Error(ErrorKind::invalid,
                 "the field \"command\" must be the shell command that is to run");
  if (command->size() > max_command_bytes)
    return Error(ErrorKind::too_large,
                 "the command has more than 32 KiB: put it into a file of "
                 "the repository");
  if (command->find('\0') != std::string::npos)
    return Error(ErrorKind::invalid, "the command has a zero byte, which no command line takes");
  request.command = *command;
  auto flavor = field<std::string>(body, "flavor", "");
  if (!flavor) return flavor.error();
  if (!flavor->empty())
    if (auto known = check_flavor(*flavor); !known) return known.error();
  request.flavor = *flavor;
  auto seconds = field<std::int64_t>(body, "timeLimit", usual_time_limit_s);
  if (!seconds) return seconds.error();
  if (*seconds < 1 || *seconds > longest_time_limit_s)
    return Error(ErrorKind::invalid,
                 "the field \"timeLimit\" must be a number of seconds from 1 to 86400, not " +
                     std::to_string(*seconds));
  request.wall_ms = *seconds * 1000;
  return request;
}

Result<Answer> create(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto body = json_object(call.body);
  if (!body) return body.error();
  auto request = task_request(*body);
  if (!request) return request.error();
  request->author = call.identity.name;
  auto job = request_task(work, *app, *request);
  if (!job) return job.error();
  return Answer{200, job_json(*job), {}};
}

Result<Answer> list(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  const std::string kind = call.parameter("kind").value_or("");
  if (!kind.empty() && kind != "release" && kind != "cron" && kind != "task")
    return Error(ErrorKind::invalid,
                 "the parameter kind must be release, cron or task, not \"" + kind + "\"");
  auto limit =
      number_parameter("limit", call.parameter("limit").value_or(usual_limit), 1, most_listed);
  if (!limit) return limit.error();
  json all = json::array();
  for (const auto& job : list_jobs(work, app->id, kind, static_cast<int>(*limit)))
    all.push_back(job_json(job));
  return Answer{200, all, {}};
}

Result<Answer> get(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto job = get_job(work, app->id, call.at("jobId"));
  if (!job) return job.error();
  return Answer{200, job_json(*job), {}};
}

Result<Answer> cancel(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto job = get_job(work, app->id, call.at("jobId"));
  if (!job) return job.error();
  if (auto cancelled = cancel_job(work, *job); !cancelled) return cancelled.error();
  return done("The job is being stopped");
}

Result<Answer> crons(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  const auto now = std::chrono::sys_seconds(std::chrono::seconds(unix_ms() / 1000));
  json all = json::array();
  for (const auto& cron : list_crons(work, app->id)) {
    const auto schedule = CronSchedule::parse(cron.entry.schedule);
    json next = nullptr;
    if (schedule)
      next = iso_time(schedule->next_after(now).time_since_epoch().count() * std::int64_t{1000});
    all.push_back({{"schedule", cron.entry.schedule},
                   {"command", cron.entry.command},
                   {"timeLimit", cron.entry.wall_ms / 1000},
                   {"catchUp", cron.entry.catch_up},
                   {"next", next},
                   {"last", cron.last ? job_json(*cron.last) : json(nullptr)}});
  }
  return Answer{200, all, {}};
}

}  // namespace

void add_jobs(Routes& routes) {
  routes.add_owned("GET", "/applications/{appId}/jobs", list);
  routes.add_owned("POST", "/applications/{appId}/jobs", create);
  routes.add_owned("GET", "/applications/{appId}/jobs/{jobId}", get);
  routes.add_owned("DELETE", "/applications/{appId}/jobs/{jobId}", cancel);
  routes.add_owned("GET", "/applications/{appId}/crons", crons);
}

}  // namespace karreg::api::clever
