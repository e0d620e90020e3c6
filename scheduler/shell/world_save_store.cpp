#include <sstream>

#include "common/broker/topology.hpp"
#include "common/db/outbox.hpp"
#include "common/json.hpp"
#include "common/wire/json.hpp"
#include "common/wire/logs.hpp"
#include "common/wire/news.hpp"
#include "scheduler/shell/names.hpp"
#include "scheduler/shell/rules_by_text.hpp"
#include "scheduler/shell/stores.hpp"

namespace karreg::scheduler {

namespace {

/// A time as a parameter: text of milliseconds, or NULL.
std::optional<std::string> ms(const std::optional<Time>& time) {
  if (!time) return std::nullopt;
  return std::to_string(to_ms(*time));
}
std::string ms(const Time& time) {
  return std::to_string(to_ms(time));
}

std::optional<std::string> or_null(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return text;
}

/// Calls @p changed(after, before or nullptr) for each row of @p after that is new or different.
template <class Map, class Fn>
void for_changed(const Map& before, const Map& after, Fn changed) {
  for (const auto& [key, value] : after) {
    const auto old = before.find(key);
    if (old == before.end())
      changed(value, static_cast<decltype(&value)>(nullptr));
    else if (!(old->second == value))
      changed(value, &old->second);
  }
}

/// @p sealed of the deployment @p from, sealed for @p to. What cannot be opened stays as it is:
/// whoever specifies an instance of it will say so.
std::string sealed_anew(const crypto::Vault& vault, const std::string& sealed,
                        const std::string& from, const std::string& to) {
  if (sealed.empty()) return sealed;
  const auto opened = vault.open(sealed, from);
  return opened ? vault.seal(*opened, to) : sealed;
}

void insert_deployment(pqxx::work& work, const Deployment& d, const crypto::Vault& vault) {
  // Whoever took the number meanwhile makes this round fail here, and be tried again.
  work.exec_params("SELECT 1 FROM apps WHERE id = $1 FOR UPDATE", d.app_id);
  const auto serving = work.exec_params(
      "SELECT d.uuid, d.sealed_env FROM apps a JOIN deployments d ON d.uuid = a.serving_deployment "
      "WHERE a.id = $1",
      d.app_id);
  const std::string env = serving.empty() ? std::string()
                                          : sealed_anew(vault, serving[0][1].as<std::string>(),
                                                        serving[0][0].as<std::string>(), d.uuid);
  work.exec_params0(
      "INSERT INTO deployments (uuid, app_id, number, action, cause, author, commit_id, use_cache, "
      "instances, flavor, sealed_env, requested_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
      "$10, $11, to_timestamp($12::bigint / 1000.0))",
      d.uuid, d.app_id, d.number, name_of(d.action), d.cause, d.author, or_null(d.commit),
      d.use_cache, d.instances, d.flavor, env, ms(d.requested_at));
}

void save_deployment(pqxx::work& work, const Deployment& d, const Deployment* old, Time now) {
  work.exec_params0(
      "UPDATE deployments SET state = $2, phase = $3, message = $4, build_id = $5, artifact_digest "
      "= $6, "
      "switch_version = $7, commit_id = $10, phase_since = to_timestamp($8::bigint / 1000.0), "
      "ended_at = to_timestamp($9::bigint / 1000.0), runtime = $11, run_image = $12 WHERE uuid = "
      "$1",
      d.uuid, name_of(d.state), name_of(d.phase), d.message, or_null(d.build_id),
      or_null(d.artifact_digest),
      d.switch_version ? std::optional(std::to_string(*d.switch_version)) : std::nullopt,
      ms(d.phase_since), ms(d.ended_at), or_null(d.commit), or_null(d.runtime), or_null(d.image));
  if (old != nullptr && old->phase == d.phase && old->state == d.state) return;
  wire::PlatformEvent event;
  const bool begins = d.phase != Phase::queued && (old == nullptr || old->phase == Phase::queued);
  event.event = d.state != DeploymentState::wip ? "DEPLOYMENT_ACTION_END"
                : begins                        ? "DEPLOYMENT_ACTION_BEGIN"
                                                : "DEPLOYMENT_PHASE";
  event.time_ms = to_ms(now);
  event.app_id = d.app_id;
  event.deployment_uuid = d.uuid;
  event.deployment_number = d.number;
  event.state = name_of(d.state);
  event.phase = name_of(d.phase);
  event.action = name_of(d.action);
  event.commit = d.commit;
  event.cause = d.cause;
  db::outbox_add(work, broker::key::api_event, wire::to_text(event));
}

void save_build(pqxx::work& work, const Build& b, const Build* old) {
  if (old == nullptr) {
    work.exec_params0(
        "INSERT INTO builds (id, app_id, deployment, commit_id, use_cache) VALUES ($1, $2, $3, $4, "
        "$5)",
        b.id, b.app_id, b.deployment, b.commit, b.use_cache);
  } else {
    work.exec_params0(
        "UPDATE builds SET state = $2, output_bytes = nullif($3::bigint, 0), message = $4, "
        "state_since = to_timestamp($5::bigint / 1000.0), lease_until = NULL WHERE id = $1",
        b.id, name_of(b.state), b.output_bytes, b.message, ms(b.state_since));
  }
  db::outbox_add(work, broker::key::builder_wake,
                 wire::to_text(wire::Wake{"build " + name_of(b.state), b.app_id}));
}

void save_job(pqxx::work& work, const Job& j, const Job* old, Time now) {
  if (old == nullptr)
    work.exec_params0(
        "INSERT INTO jobs (id, app_id, deployment, kind, command, schedule, due, flavor, wall_ms, "
        "requested_at) VALUES ($1, $2, $3, $4, $5, $6, to_timestamp($7::bigint / 1000.0), $8, $9, "
        "to_timestamp($10::bigint / 1000.0))",
        j.id, j.app_id, j.deployment, name_of(j.kind), j.command, j.schedule, ms(j.due), j.flavor,
        j.wall.count(), ms(j.requested_at));
  work.exec_params0(
      "UPDATE jobs SET state = $2, message = $3, exit_code = $4, instance_id = $5, started_at = "
      "to_timestamp($6::bigint / 1000.0), ended_at = to_timestamp($7::bigint / 1000.0) WHERE id = "
      "$1",
      j.id, name_of(j.state), j.message, j.exit_code, or_null(j.instance), ms(j.started_at),
      ms(j.ended_at));
  wire::PlatformEvent event;
  event.event = "JOB_CHANGE";
  event.time_ms = to_ms(now);
  event.app_id = j.app_id;
  event.deployment_uuid = j.deployment;
  event.state = name_of(j.state);
  event.job_id = j.id;
  db::outbox_add(work, broker::key::api_event, wire::to_text(event));
}

void save_cron_marks(pqxx::work& work, const World& before, const World& after) {
  for (const auto& [key, mark] : after.cron_marks) {
    const auto old = before.cron_marks.find(key);
    if (old != before.cron_marks.end() && old->second == mark) continue;
    work.exec_params0(
        "INSERT INTO cron_marks (app_id, schedule, command, mark) VALUES ($1, $2, $3, "
        "to_timestamp($4::bigint / 1000.0)) ON CONFLICT (app_id, schedule, command) DO UPDATE SET "
        "mark = excluded.mark",
        key.app_id, key.schedule, key.command, ms(mark));
  }
  for (const auto& [key, mark] : before.cron_marks)
    if (!after.cron_marks.contains(key))
      work.exec_params0(
          "DELETE FROM cron_marks WHERE app_id = $1 AND schedule = $2 AND command = $3", key.app_id,
          key.schedule, key.command);
}

void save_instance(pqxx::work& work, const Instance& i, const Instance* old) {
  // Without a host it is an intention that the next round repeats; nothing to keep.
  if (i.host_id.empty()) return;
  if (old == nullptr)
    work.exec_params0(
        "INSERT INTO instances (id, app_id, deployment, build_id, kind, number, host_id, flavor, "
        "created_at, job_id) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, to_timestamp($9::bigint / 1000.0), $10)",
        i.id, i.app_id, i.deployment, or_null(i.build_id), name_of(i.kind), i.number, i.host_id,
        i.flavor, ms(i.created_at), or_null(i.job_id));
  work.exec_params0(
      "UPDATE instances SET wanted = $2, healthy = healthy AND $2, routed = $3, routed_version = "
      "$4, "
      "unwanted_at = to_timestamp($5::bigint / 1000.0), ended_at = to_timestamp($6::bigint / "
      "1000.0), slept = $7 "
      "WHERE id = $1",
      i.id, i.wanted, name_of(i.routed), i.routed_version, ms(i.unwanted_at), ms(i.ended_at),
      i.slept);
}

/// Adds what has changed to @p update.
void save_tcp_routes(pqxx::work& work, const World& before, const World& after,
                     wire::RouteUpdate& update) {
  for_changed(before.tcp_routes, after.tcp_routes,
              [&](const wire::TcpRoute& route, const wire::TcpRoute*) {
                update.tcp_upserts.push_back(route);
                work.exec_params0(
                    "INSERT INTO tcp_routes (port, app_id, backends, version) VALUES ($1, $2, "
                    "$3::jsonb, $4) ON CONFLICT (port) DO UPDATE SET app_id = $2, backends = "
                    "$3::jsonb, version = $4, removed = false",
                    route.port, route.app_id, wire::to_text(route.backends), after.route_version);
              });
  for (const auto& [port, route] : before.tcp_routes) {
    if (after.tcp_routes.contains(port)) continue;
    update.tcp_removes.push_back(port);
    work.exec_params0("UPDATE tcp_routes SET removed = true, version = $2 WHERE port = $1", port,
                      after.route_version);
  }
}

void save_routes(pqxx::work& work, const World& before, const World& after) {
  if (before.route_version == after.route_version) return;
  wire::RouteUpdate update;
  update.base = before.route_version;
  update.version = after.route_version;
  for_changed(before.routes, after.routes, [&](const wire::Route& route, const wire::Route*) {
    update.upserts.push_back(route);
    work.exec_params0(
        "INSERT INTO routes (host, path, app_id, sticky_sessions, force_https, backends, version, "
        "rules, asleep) VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8::jsonb, $9) ON CONFLICT "
        "(host, path) DO "
        "UPDATE SET app_id "
        "= $3, "
        "sticky_sessions = $4, force_https = $5, backends = $6::jsonb, version = $7, removed = "
        "false, rules = $8::jsonb, asleep = $9",
        route.host, route.path, route.app_id, route.sticky_sessions, route.force_https,
        wire::to_text(route.backends), after.route_version, text_of(route.rules), route.asleep);
  });
  for (const auto& [key, route] : before.routes) {
    if (after.routes.contains(key)) continue;
    update.removes.push_back(key);
    work.exec_params0(
        "UPDATE routes SET removed = true, version = $3 WHERE host = $1 AND path = $2", key.host,
        key.path, after.route_version);
  }
  save_tcp_routes(work, before, after, update);
  work.exec_params0("UPDATE route_version SET version = $1, changed_at = now()",
                    after.route_version);
  db::outbox_add(work, broker::key::proxy_routes, wire::to_text(update));
}

}  // namespace

void save_notes(pqxx::work& work, const std::vector<Note>& notes, Time now) {
  const auto time_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  for (const auto& note : notes) {
    wire::LogBatch batch;
    batch.app_id = note.app_id;
    batch.deployment_id = note.deployment;
    batch.service = "karreg";
    std::istringstream text(note.text);
    for (std::string line; std::getline(text, line);)
      batch.lines.push_back({time_ns, "karreg", line});
    db::outbox_add_to_stream(work, broker::log_stream(note.app_id), wire::to_text(batch));
  }
}

void forget_old_instances(pqxx::work& work) {
  work.exec0("DELETE FROM instances WHERE ended_at < now() - interval '7 days'");
}

void forget_old_jobs(pqxx::work& work) {
  work.exec0("DELETE FROM jobs WHERE ended_at < now() - interval '30 days'");
}

void forget_silent_proxies(pqxx::work& work) {
  work.exec0("DELETE FROM proxies WHERE last_seen < now() - interval '1 day'");
}

void save_world(pqxx::work& work, const World& before, const World& after, Time now,
                const crypto::Vault& vault) {
  // What else is new may name them.
  for (const auto& [uuid, deployment] : after.deployments)
    if (!before.deployments.contains(uuid)) insert_deployment(work, deployment, vault);
  for_changed(before.builds, after.builds,
              [&](const Build& b, const Build* old) { save_build(work, b, old); });
  for_changed(
      before.deployments, after.deployments,
      [&](const Deployment& d, const Deployment* old) { save_deployment(work, d, old, now); });
  for_changed(before.jobs, after.jobs,
              [&](const Job& j, const Job* old) { save_job(work, j, old, now); });
  save_cron_marks(work, before, after);
  for_changed(before.instances, after.instances,
              [&](const Instance& i, const Instance* old) { save_instance(work, i, old); });
  for_changed(before.apps, after.apps, [&](const App& app, const App* old) {
    work.exec_params0(
        "UPDATE apps SET state = $2, serving_deployment = $3, commit_id = $4, "
        "torn_down_at = CASE WHEN $5 THEN coalesce(torn_down_at, now()) END, sleep = $6, "
        "sleep_since = to_timestamp($7::bigint / 1000.0), cron = $8::jsonb, next_deployment = $9 "
        "WHERE "
        "id = $1",
        app.id, app.state, or_null(app.serving_deployment), or_null(app.commit), app.torn_down,
        name_of(app.sleep), ms(app.sleep_since), wire::to_text(app.cron), app.next_deployment);
    if (app.torn_down || (old != nullptr && old->sleep != app.sleep)) {
      wire::PlatformEvent event;
      event.event = "APPLICATION_CHANGE";
      event.time_ms = to_ms(now);
      event.app_id = app.id;
      db::outbox_add(work, broker::key::api_event, wire::to_text(event));
    }
  });
  save_image_news(work, before, after, now);
  save_rolls(work, before, after);
  save_routes(work, before, after);
}

}  // namespace karreg::scheduler
