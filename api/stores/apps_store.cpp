#include "api/stores/apps_store.hpp"

#include <algorithm>

#include "common/broker/topology.hpp"
#include "common/db/outbox.hpp"
#include "common/wire/json.hpp"
#include "common/wire/news.hpp"

namespace karreg::api {

namespace {

constexpr const char* app_columns =
    "a.id, a.org_id, a.name, a.description, a.zone, a.variant, a.state, a.branch, a.min_instances, "
    "a.max_instances, a.min_flavor, a.max_flavor, a.build_flavor, a.separate_build, a.homogeneous, "
    "a.sticky_sessions, a.cancel_on_push, a.force_https, a.lifetime, a.commit_id, "
    "a.serving_deployment, "
    "(extract(epoch FROM a.created_at) * 1000)::bigint, a.sleep_after_s, a.sleep, "
    "(extract(epoch FROM a.sleep_since) * 1000)::bigint";

std::optional<std::string> optional_text(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return field.as<std::string>();
}

App app_of(const pqxx::row& row) {
  App app;
  app.id = row[0].as<std::string>();
  app.org_id = row[1].as<std::string>();
  app.name = row[2].as<std::string>();
  app.description = row[3].as<std::string>();
  app.zone = row[4].as<std::string>();
  app.variant = row[5].as<std::string>();
  app.state = row[6].as<std::string>();
  app.branch = optional_text(row[7]);
  app.min_instances = row[8].as<int>();
  app.max_instances = row[9].as<int>();
  app.min_flavor = row[10].as<std::string>();
  app.max_flavor = row[11].as<std::string>();
  app.build_flavor = row[12].as<std::string>();
  app.separate_build = row[13].as<bool>();
  app.homogeneous = row[14].as<bool>();
  app.sticky_sessions = row[15].as<bool>();
  app.cancel_on_push = row[16].as<bool>();
  app.force_https = row[17].as<bool>();
  app.lifetime = row[18].as<std::string>();
  app.commit = optional_text(row[19]);
  app.serving_deployment = optional_text(row[20]);
  app.created_ms = row[21].as<std::int64_t>();
  app.sleep_after_s = row[22].as<int>();
  app.sleep = row[23].as<std::string>();
  if (!row[24].is_null()) app.sleep_since_ms = row[24].as<std::int64_t>();
  return app;
}

void add_vhosts(pqxx::work& work, App& app) {
  for (const auto& row : work.exec_params("SELECT host, path, favourite FROM vhosts WHERE app_id = "
                                          "$1 ORDER BY favourite DESC, created_at, host",
                                          app.id))
    app.vhosts.push_back({row[0].as<std::string>(), row[1].as<std::string>(), row[2].as<bool>()});
}

/// First key of the advisory locks of hosts; leadership and migrations lock with one key.
constexpr int host_locks = 1;

/// Until the transaction's end nobody else gives out a name below @p host: what is read of its rows
/// stays true.
void lock_host(pqxx::work& work, const std::string& host) {
  work.exec_params("SELECT pg_advisory_xact_lock($1, hashtext($2))", host_locks, host);
}

void wake_scheduler(pqxx::work& work, const std::string& reason, const std::string& app_id) {
  db::outbox_add(work, broker::key::scheduler_wake, wire::to_text(wire::Wake{reason, app_id}));
}

constexpr const char* deployment_columns =
    "uuid, app_id, number, action, cause, author, commit_id, instances, state, phase, message, "
    "(extract(epoch FROM requested_at) * 1000)::bigint, (extract(epoch FROM ended_at) * "
    "1000)::bigint";

Deployment deployment_of(const pqxx::row& row) {
  Deployment d;
  d.uuid = row[0].as<std::string>();
  d.app_id = row[1].as<std::string>();
  d.number = row[2].as<int>();
  d.action = row[3].as<std::string>();
  d.cause = row[4].as<std::string>();
  d.author = row[5].as<std::string>();
  d.commit = optional_text(row[6]);
  d.instances = row[7].as<int>();
  d.state = row[8].as<std::string>();
  d.phase = row[9].as<std::string>();
  d.message = row[10].as<std::string>();
  d.requested_ms = row[11].as<std::int64_t>();
  if (!row[12].is_null()) d.ended_ms = row[12].as<std::int64_t>();
  return d;
}

}  // namespace

Result<App> get_app(pqxx::work& work, const Identity& identity, const std::string& app_id) {
  const auto rows =
      work.exec_params(std::string("SELECT ") + app_columns +
                           " FROM apps a JOIN members m ON m.org_id = a.org_id "
                           "WHERE a.id = $1 AND m.user_id = $2 AND a.deleted_at IS NULL",
                       app_id, identity.user_id);
  if (rows.empty())
    return Error(ErrorKind::not_found, "there is no application " + app_id + " that you can see");
  App app = app_of(rows[0]);
  add_vhosts(work, app);
  return app;
}

std::vector<App> list_apps(pqxx::work& work, const std::string& org_id) {
  std::vector<App> apps;
  for (const auto& row : work.exec_params(
           std::string("SELECT ") + app_columns +
               " FROM apps a WHERE a.org_id = $1 AND a.deleted_at IS NULL ORDER BY a.created_at",
           org_id))
    apps.push_back(app_of(row));
  for (auto& app : apps) add_vhosts(work, app);
  return apps;
}

Result<App> create_app(pqxx::work& work, App app, const std::string& domain,
                       const std::string& reserved_host) {
  work.exec_params0(
      "INSERT INTO apps (id, org_id, name, description, zone, variant, min_instances, "
      "max_instances, min_flavor, "
      "max_flavor, build_flavor, lifetime) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
      "$12)",
      app.id, app.org_id, app.name, app.description, app.zone, app.variant, app.min_instances,
      app.max_instances, app.min_flavor, app.max_flavor, app.build_flavor, app.lifetime);
  const std::string base = slug(app.name);
  for (int n = 1; n < 10'000; ++n) {
    const std::string host = base + (n == 1 ? "" : "-" + std::to_string(n)) + "." + domain;
    if (host == reserved_host) continue;
    lock_host(work, host);
    const auto added = work.exec_params(
        "INSERT INTO vhosts (host, path, app_id) SELECT $1, '/', $2 WHERE NOT EXISTS (SELECT 1 "
        "FROM vhosts WHERE host = $1) RETURNING 1",
        host, app.id);
    if (added.empty()) continue;
    app.vhosts.push_back({host, "/", false});
    wake_scheduler(work, "application created", app.id);
    return app;
  }
  return Error(ErrorKind::conflict, "no free host name like " + base + "." + domain);
}

void update_app(pqxx::work& work, const App& app) {
  work.exec_params0(
      "UPDATE apps SET name = $2, description = $3, branch = $4, min_instances = $5, max_instances "
      "= $6, "
      "min_flavor = $7, max_flavor = $8, build_flavor = $9, separate_build = $10, homogeneous = "
      "$11, "
      "sticky_sessions = $12, cancel_on_push = $13, force_https = $14, sleep_after_s = $15 WHERE "
      "id = $1",
      app.id, app.name, app.description, app.branch, app.min_instances, app.max_instances,
      app.min_flavor, app.max_flavor, app.build_flavor, app.separate_build, app.homogeneous,
      app.sticky_sessions, app.cancel_on_push, app.force_https, app.sleep_after_s);
  wake_scheduler(work, "application changed", app.id);
}

nlohmann::json get_rules(pqxx::work& work, const std::string& app_id) {
  const auto row = work.exec_params1("SELECT rules FROM apps WHERE id = $1", app_id);
  if (row[0].is_null()) return nlohmann::json::object();
  return nlohmann::json::parse(row[0].as<std::string>());
}

void set_rules(pqxx::work& work, const std::string& app_id, const nlohmann::json& rules) {
  const auto text = rules.empty() ? std::nullopt : std::optional<std::string>(wire::to_text(rules));
  work.exec_params0("UPDATE apps SET rules = $2::jsonb WHERE id = $1", app_id, text);
  wake_scheduler(work, "rules changed", app_id);
}

void delete_app(pqxx::work& work, const std::string& app_id) {
  work.exec_params0("UPDATE apps SET deleted_at = now() WHERE id = $1", app_id);
  work.exec_params0(
      "UPDATE tcp_redirections SET released_at = now() WHERE app_id = $1 AND released_at IS NULL",
      app_id);
  wake_scheduler(work, "application deleted", app_id);
}

std::vector<std::string> torn_down_apps(pqxx::work& work) {
  std::vector<std::string> ids;
  for (const auto& row : work.exec("SELECT id FROM apps WHERE torn_down_at IS NOT NULL LIMIT 20"))
    ids.push_back(row[0].as<std::string>());
  return ids;
}

void forget_app(pqxx::work& work, const std::string& app_id) {
  work.exec_params0("DELETE FROM apps WHERE id = $1 AND torn_down_at IS NOT NULL", app_id);
}

Result<Env> get_env(pqxx::work& work, const crypto::Vault& vault, const std::string& app_id) {
  Env env;
  for (const auto& row :
       work.exec_params("SELECT name, sealed_value FROM app_env WHERE app_id = $1", app_id)) {
    const auto name = row[0].as<std::string>();
    auto value = vault.open(row[1].as<std::string>(), app_id + "/" + name);
    if (!value) return value.error().within("the variable " + name);
    env[name] = *value;
  }
  return env;
}

void set_env(pqxx::work& work, const crypto::Vault& vault, const std::string& app_id,
             const std::string& name, const std::string& value) {
  work.exec_params0(
      "INSERT INTO app_env (app_id, name, sealed_value) VALUES ($1, $2, $3) "
      "ON CONFLICT (app_id, name) DO UPDATE SET sealed_value = $3",
      app_id, name, vault.seal(value, app_id + "/" + name));
}

void unset_env(pqxx::work& work, const std::string& app_id, const std::string& name) {
  work.exec_params0("DELETE FROM app_env WHERE app_id = $1 AND name = $2", app_id, name);
}

void replace_env(pqxx::work& work, const crypto::Vault& vault, const std::string& app_id,
                 const Env& env) {
  work.exec_params0("DELETE FROM app_env WHERE app_id = $1", app_id);
  for (const auto& [name, value] : env) set_env(work, vault, app_id, name, value);
}

Result<void> add_vhost(pqxx::work& work, const App& app, const Vhost& vhost,
                       const std::string& reserved_host) {
  if (vhost.host == reserved_host)
    return Error(ErrorKind::conflict, "the domain " + vhost.host +
                                          " is the platform's own: applications cannot have it");
  lock_host(work, vhost.host);
  // A path of somebody's host would get the cookies and the passwords of its visitors.
  const auto strangers = work.exec_params(
      "SELECT 1 FROM vhosts v JOIN apps a ON a.id = v.app_id WHERE v.host = $1 AND a.org_id <> $2 "
      "LIMIT 1",
      vhost.host, app.org_id);
  if (!strangers.empty())
    return Error(ErrorKind::conflict,
                 "the domain " + vhost.host + " is taken by another organisation");
  work.exec_params0(
      "INSERT INTO vhosts (host, path, app_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
      vhost.host, vhost.path, app.id);
  const auto owner = work.exec_params1("SELECT app_id FROM vhosts WHERE host = $1 AND path = $2",
                                       vhost.host, vhost.path)[0]
                         .as<std::string>();
  if (owner != app.id)
    return Error(ErrorKind::conflict,
                 "the domain " + vhost.fqdn() + " is taken by another application");
  wake_scheduler(work, "domain added", app.id);
  return ok();
}

Result<void> remove_vhost(pqxx::work& work, const std::string& app_id, const Vhost& vhost) {
  const auto removed = work.exec_params(
      "DELETE FROM vhosts WHERE host = $1 AND path = $2 AND app_id = $3 RETURNING 1", vhost.host,
      vhost.path, app_id);
  if (removed.empty())
    return Error(ErrorKind::not_found, "the application has no domain " + vhost.fqdn());
  wake_scheduler(work, "domain removed", app_id);
  return ok();
}

Result<void> set_favourite(pqxx::work& work, const std::string& app_id,
                           const std::optional<Vhost>& vhost) {
  work.exec_params0("UPDATE vhosts SET favourite = false WHERE app_id = $1", app_id);
  if (!vhost) return ok();
  const auto set = work.exec_params(
      "UPDATE vhosts SET favourite = true WHERE app_id = $1 AND host = $2 AND path = $3 RETURNING "
      "1",
      app_id, vhost->host, vhost->path);
  if (set.empty())
    return Error(ErrorKind::not_found, "the application has no domain " + vhost->fqdn() +
                                           "; add it before it can be the favourite");
  return ok();
}

Result<Deployment> request_deployment(pqxx::work& work, const crypto::Vault& vault, const App& app,
                                      const DeploymentRequest& request) {
  Deployment d;
  d.uuid = "deployment_";
  d.uuid += work.exec1("SELECT gen_random_uuid()")[0].as<std::string>();
  auto env = get_env(work, vault, app.id);
  if (!env) return env.error();
  const int number =
      work.exec_params1(
              "UPDATE apps SET next_deployment = next_deployment + 1, "
              "state = CASE WHEN $2 = 'UNDEPLOY' OR state = 'SHOULD_BE_UP' THEN state "
              "ELSE 'WANTS_TO_BE_UP' END WHERE id = $1 RETURNING next_deployment - 1",
              app.id, request.action)[0]
          .as<int>();
  work.exec_params0(
      "INSERT INTO deployments (uuid, app_id, number, action, cause, author, commit_id, use_cache, "
      "instances, "
      "flavor, sealed_env) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
      d.uuid, app.id, number, request.action, request.cause, request.author, request.commit,
      request.use_cache, app.min_instances, app.min_flavor,
      vault.seal(wire::to_text(*env), d.uuid));
  wake_scheduler(work, "deployment requested", app.id);
  return get_deployment(work, app.id, d.uuid);
}

Result<Deployment> record_in_service(pqxx::work& work, const crypto::Vault& vault, const App& app,
                                     const DeploymentRequest& request) {
  auto deployment = request_deployment(work, vault, app, request);
  if (!deployment) return deployment.error();
  work.exec_params0(
      "UPDATE deployments SET state = 'OK', phase = 'ended', ended_at = now(), message = 'in "
      "service already', (build_id, artifact_digest, runtime, run_image) = (SELECT build_id, "
      "artifact_digest, runtime, run_image FROM deployments WHERE uuid = $2) WHERE uuid = $1",
      deployment->uuid, app.serving_deployment);
  return get_deployment(work, app.id, deployment->uuid);
}

namespace {
/// The commit of the newest deployment of app a that is on its way into service.
constexpr const char* commit_on_its_way =
    "(SELECT d.commit_id FROM deployments d WHERE d.app_id = a.id AND d.state = 'WIP' AND d.action "
    "= 'DEPLOY' AND NOT d.cancel_requested ORDER BY d.number DESC LIMIT 1)";
}  // namespace

std::optional<std::string> commit_to_restart(pqxx::work& work, const std::string& app_id) {
  return optional_text(work.exec_params1(
      std::string("SELECT coalesce(") + commit_on_its_way +
          ", a.commit_id, (SELECT d.commit_id FROM deployments d WHERE d.app_id = a.id AND "
          "d.commit_id IS NOT NULL ORDER BY d.number DESC LIMIT 1)) FROM apps a WHERE a.id = $1",
      app_id)[0]);
}

std::optional<std::string> commit_to_scale(pqxx::work& work, const std::string& app_id) {
  return optional_text(work.exec_params1(
      std::string("SELECT CASE WHEN a.serving_deployment IS NOT NULL THEN a.commit_id ELSE ") +
          commit_on_its_way + " END FROM apps a WHERE a.id = $1",
      app_id)[0]);
}

Result<bool> serves_as_wanted(pqxx::work& work, const crypto::Vault& vault, const App& app) {
  if (!app.serving_deployment) return false;
  const auto rows = work.exec_params(
      "SELECT d.sealed_env, d.flavor, d.instances FROM deployments d WHERE d.uuid = $1 AND NOT "
      "EXISTS (SELECT 1 FROM deployments w WHERE w.app_id = d.app_id AND w.state = 'WIP')",
      *app.serving_deployment);
  if (rows.empty()) return false;
  auto wanted = get_env(work, vault, app.id);
  if (!wanted) return wanted.error();
  auto serving = vault.open(rows[0][0].as<std::string>(), *app.serving_deployment);
  if (!serving) return serving.error().within("the environment of the version in service");
  return *serving == wire::to_text(*wanted) && rows[0][1].as<std::string>() == app.min_flavor &&
         rows[0][2].as<int>() == app.min_instances;
}

std::vector<Deployment> list_deployments(pqxx::work& work, const std::string& app_id, int limit) {
  std::vector<Deployment> all;
  for (const auto& row : work.exec_params(
           std::string("SELECT ") + deployment_columns +
               " FROM deployments WHERE app_id = $1 ORDER BY number DESC LIMIT nullif($2::int, 0)",
           app_id, limit))
    all.push_back(deployment_of(row));
  return all;
}

std::vector<Deployment> deployments_changed_since(pqxx::work& work, std::int64_t since_ms) {
  std::vector<Deployment> all;
  for (const auto& row :
       work.exec_params(std::string("SELECT ") + deployment_columns +
                            " FROM deployments WHERE (state <> 'WIP' OR phase <> 'queued') AND "
                            "greatest(phase_since, ended_at) > to_timestamp($1::bigint / 1000.0) "
                            "ORDER BY greatest(phase_since, ended_at) DESC LIMIT 1000",
                        since_ms))
    all.push_back(deployment_of(row));
  std::ranges::reverse(all);
  return all;
}

std::vector<std::string> members_of_app(pqxx::work& work, const std::string& app_id) {
  std::vector<std::string> users;
  for (const auto& row : work.exec_params(
           "SELECT m.user_id FROM apps a JOIN members m ON m.org_id = a.org_id WHERE a.id = $1",
           app_id))
    users.push_back(row[0].as<std::string>());
  return users;
}

Result<Deployment> get_deployment(pqxx::work& work, const std::string& app_id,
                                  const std::string& id) {
  const auto rows = work.exec_params(
      std::string("SELECT ") + deployment_columns +
          " FROM deployments WHERE app_id = $1 AND (uuid = $2 OR number::text = $2)",
      app_id, id);
  if (rows.empty()) return Error(ErrorKind::not_found, "the application has no deployment " + id);
  return deployment_of(rows[0]);
}

Result<void> cancel_deployment(pqxx::work& work, const Deployment& deployment) {
  if (deployment.state != "WIP")
    return Error(ErrorKind::conflict, "deployment " + std::to_string(deployment.number) +
                                          " is over (" + deployment.state +
                                          ") and cannot be cancelled");
  if (deployment.phase == "switching" || deployment.phase == "draining")
    return Error(ErrorKind::conflict,
                 "deployment " + std::to_string(deployment.number) +
                     " is going into service and cannot be cancelled any more");
  work.exec_params0("UPDATE deployments SET cancel_requested = true WHERE uuid = $1",
                    deployment.uuid);
  wake_scheduler(work, "cancel requested", deployment.app_id);
  return ok();
}

std::map<std::string, std::set<int>> deployments_in_use(pqxx::work& work) {
  std::map<std::string, std::set<int>> all;
  for (const auto& row :
       work.exec("SELECT a.id, d.number FROM apps a LEFT JOIN deployments d ON d.app_id = a.id AND "
                 "(d.state = 'WIP' OR d.uuid = a.serving_deployment)")) {
    auto& numbers = all[row[0].as<std::string>()];
    if (!row[1].is_null()) numbers.insert(row[1].as<int>());
  }
  return all;
}

bool any_open_deployment(pqxx::work& work) {
  return work.exec1("SELECT EXISTS (SELECT 1 FROM deployments WHERE state = 'WIP')")[0].as<bool>();
}

std::vector<Instance> list_instances(pqxx::work& work, const std::string& app_id, bool ended) {
  std::vector<Instance> all;
  for (const auto& row :
       work.exec_params("SELECT i.id, i.app_id, i.deployment, d.number, i.kind, "
                        "i.number, i.flavor, i.phase, i.healthy, "
                        "i.routed, coalesce(d.commit_id, ''), i.address, (extract(epoch FROM "
                        "i.created_at) * 1000)::bigint, "
                        "(extract(epoch FROM i.ended_at) * 1000)::bigint FROM instances i JOIN "
                        "deployments d ON d.uuid = i.deployment "
                        "WHERE i.app_id = $1 AND ((i.ended_at IS NULL AND i.wanted) OR ($2 AND "
                        "i.created_at > now() - interval '7 days')) "
                        "ORDER BY i.created_at",
                        app_id, ended)) {
    Instance i;
    i.id = row[0].as<std::string>();
    i.app_id = row[1].as<std::string>();
    i.deployment = row[2].as<std::string>();
    i.deployment_number = row[3].as<int>();
    i.kind = row[4].as<std::string>();
    i.number = row[5].as<int>();
    i.flavor = row[6].as<std::string>();
    i.phase = row[7].as<std::string>();
    i.healthy = row[8].as<bool>();
    i.routed = row[9].as<std::string>();
    i.commit = row[10].as<std::string>();
    i.address = row[11].as<std::string>();
    i.created_ms = row[12].as<std::int64_t>();
    if (!row[13].is_null()) i.ended_ms = row[13].as<std::int64_t>();
    all.push_back(std::move(i));
  }
  return all;
}

}  // namespace karreg::api
