#include "api/stores/jobs_store.hpp"

#include "common/broker/topology.hpp"
#include "common/db/outbox.hpp"
#include "common/ids.hpp"
#include "common/wire/json.hpp"
#include "common/wire/news.hpp"

namespace karreg::api {

namespace {

constexpr int most_open_tasks = 20;
constexpr const char* columns =
    "SELECT j.id, j.app_id, j.deployment, j.kind, j.command, j.schedule, "
    "(extract(epoch FROM j.due) * 1000)::bigint, j.author, j.flavor, j.wall_ms, j.state, "
    "j.message, j.exit_code, coalesce(j.instance_id, ''), "
    "(extract(epoch FROM j.requested_at) * 1000)::bigint, "
    "(extract(epoch FROM j.started_at) * 1000)::bigint, "
    "(extract(epoch FROM j.ended_at) * 1000)::bigint FROM jobs j ";

template <class T>
std::optional<T> optional_of(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return field.as<T>();
}

Job job_of(const pqxx::row& row) {
  const auto text = [&](int column) { return row[column].as<std::string>(); };
  Job job;
  job.id = text(0);
  job.app_id = text(1);
  job.deployment = text(2);
  job.kind = text(3);
  job.command = text(4);
  job.schedule = text(5);
  job.due_ms = optional_of<std::int64_t>(row[6]);
  job.author = text(7);
  job.flavor = text(8);
  job.wall_ms = row[9].as<std::int64_t>();
  job.state = text(10);
  job.message = text(11);
  job.exit_code = optional_of<int>(row[12]);
  job.instance = text(13);
  job.requested_ms = row[14].as<std::int64_t>();
  job.started_ms = optional_of<std::int64_t>(row[15]);
  job.ended_ms = optional_of<std::int64_t>(row[16]);
  return job;
}

void wake_scheduler(pqxx::work& work, const std::string& reason, const std::string& app_id) {
  db::outbox_add(work, broker::key::scheduler_wake, wire::to_text(wire::Wake{reason, app_id}));
}

}  // namespace

Result<Job> request_task(pqxx::work& work, const App& app, const TaskRequest& request) {
  // One at a time of an app that is not being deleted, so that the bound is one.
  if (work.exec_params("SELECT 1 FROM apps WHERE id = $1 AND deleted_at IS NULL FOR UPDATE", app.id)
          .empty())
    return Error(ErrorKind::not_found, "the application is being deleted");
  const auto open = work.exec_params1(
      "SELECT count(*) FROM jobs WHERE app_id = $1 AND kind = 'task' AND state IN ('queued', "
      "'running')",
      app.id);
  if (open[0].as<int>() >= most_open_tasks)
    return Error(ErrorKind::conflict, "the application has " + std::to_string(most_open_tasks) +
                                          " open tasks, which is as many as one may have: wait "
                                          "for one to end, or stop one");
  const auto version = work.exec_params(
      "SELECT d.uuid, d.flavor FROM deployments d JOIN apps a ON a.id = d.app_id WHERE d.app_id = "
      "$1 AND d.artifact_digest IS NOT NULL AND (d.uuid = a.serving_deployment OR d.state = 'OK') "
      "ORDER BY d.uuid = a.serving_deployment DESC NULLS LAST, d.number DESC LIMIT 1",
      app.id);
  if (version.empty())
    return Error(ErrorKind::conflict,
                 "a task runs from the version in service, and there was none yet: push first");
  const std::string id = ids::make("job_");
  work.exec_params0(
      "INSERT INTO jobs (id, app_id, deployment, kind, command, author, flavor, wall_ms) VALUES "
      "($1, $2, $3, 'task', $4, $5, $6, $7)",
      id, app.id, version[0][0].as<std::string>(), request.command, request.author,
      request.flavor.empty() ? version[0][1].as<std::string>() : request.flavor, request.wall_ms);
  wake_scheduler(work, "task", app.id);
  return get_job(work, app.id, id);
}

std::vector<Job> list_jobs(pqxx::work& work, const std::string& app_id, const std::string& kind,
                           int limit) {
  std::vector<Job> all;
  for (const auto& row :
       work.exec_params(std::string(columns) + "WHERE j.app_id = $1 AND ($2 = '' OR j.kind = $2) "
                                               "ORDER BY j.requested_at DESC, j.id DESC LIMIT $3",
                        app_id, kind, limit))
    all.push_back(job_of(row));
  return all;
}

Result<Job> get_job(pqxx::work& work, const std::string& app_id, const std::string& id) {
  const auto rows =
      work.exec_params(std::string(columns) + "WHERE j.app_id = $1 AND j.id = $2", app_id, id);
  if (rows.empty())
    return Error(ErrorKind::not_found,
                 "the application has no job " + id +
                     "; those that ended more than 30 days ago are forgotten");
  return job_of(rows[0]);
}

Result<void> cancel_job(pqxx::work& work, const Job& job) {
  if (job.kind == "release")
    return Error(ErrorKind::conflict,
                 "it is the release command of a deployment: cancel the deployment");
  const auto open = work.exec_params(
      "UPDATE jobs SET cancel_requested = true WHERE id = $1 AND state IN ('queued', 'running') "
      "RETURNING 1",
      job.id);
  if (open.empty()) return Error(ErrorKind::conflict, "the job is over: " + job.state);
  wake_scheduler(work, "cancel job", job.app_id);
  return ok();
}

std::vector<Cron> list_crons(pqxx::work& work, const std::string& app_id) {
  const auto row = work.exec_params(
      "SELECT cron FROM apps WHERE id = $1 AND serving_deployment IS NOT NULL", app_id);
  std::vector<Cron> all;
  if (row.empty()) return all;
  const auto entries = nlohmann::json::parse(row[0][0].as<std::string>());
  for (auto& entry : entries.get<std::vector<wire::CronEntry>>()) {
    const auto last = work.exec_params(
        std::string(columns) +
            "WHERE j.app_id = $1 AND j.kind = 'cron' AND j.schedule = $2 AND j.command = $3 ORDER "
            "BY j.requested_at DESC, j.id DESC LIMIT 1",
        app_id, entry.schedule, entry.command);
    Cron& cron = all.emplace_back();
    cron.entry = entry;
    if (!last.empty()) cron.last = job_of(last[0]);
  }
  return all;
}

}  // namespace karreg::api
