#include "common/json.hpp"
#include "common/wire/json.hpp"
#include "scheduler/shell/names.hpp"
#include "scheduler/shell/rules_by_text.hpp"
#include "scheduler/shell/stores.hpp"

namespace karreg::scheduler {

namespace {

Time time_of(const pqxx::field& field) {
  return Time(milliseconds(field.as<std::int64_t>()));
}

std::optional<Time> optional_time(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return time_of(field);
}

std::string text_of(const pqxx::field& field) {
  return field.as<std::string>(std::string());
}

/// [wire::CronEntry] of a plan or an app; none where the column is NULL.
std::vector<wire::CronEntry> cron_of(const pqxx::field& field) {
  const std::string text = text_of(field);
  if (text.empty() || text == "[]") return {};
  return nlohmann::json::parse(text).get<std::vector<wire::CronEntry>>();
}

void load_apps(pqxx::work& work, RulesByText& rules, World& world) {
  for (const auto& row : work.exec(
           "SELECT id, state, deleted_at IS NOT NULL, homogeneous, sticky_sessions, force_https, "
           "cancel_on_push, build_flavor, serving_deployment, commit_id, separate_build, rules, "
           "sleep_after_s, sleep, (extract(epoch FROM sleep_since) * 1000)::bigint, "
           "(extract(epoch FROM t.last_request) * 1000)::bigint, cron, next_deployment "
           "FROM apps LEFT JOIN app_traffic t ON t.app_id = id "
           "WHERE torn_down_at IS NULL")) {
    App app;
    app.id = text_of(row[0]);
    app.state = text_of(row[1]);
    app.deleted = row[2].as<bool>();
    app.homogeneous = row[3].as<bool>();
    app.sticky_sessions = row[4].as<bool>();
    app.force_https = row[5].as<bool>();
    app.cancel_on_push = row[6].as<bool>();
    app.build_flavor = text_of(row[7]);
    app.serving_deployment = text_of(row[8]);
    app.commit = text_of(row[9]);
    app.separate_build = row[10].as<bool>();
    app.rules = rules.read(text_of(row[11]));
    app.sleep_after = std::chrono::seconds(row[12].as<int>());
    app.sleep = value_of<Sleep>(text_of(row[13]));
    app.sleep_since = optional_time(row[14]);
    app.last_request = optional_time(row[15]);
    app.cron = cron_of(row[16]);
    app.next_deployment = row[17].as<int>();
    world.apps[app.id] = std::move(app);
  }
  for (const auto& row :
       work.exec("SELECT app_id, host, path FROM vhosts ORDER BY app_id, host, path")) {
    const auto app = world.apps.find(text_of(row[0]));
    if (app != world.apps.end()) app->second.vhosts.push_back({text_of(row[1]), text_of(row[2])});
  }
  for (const auto& row : work.exec(
           "SELECT app_id, port FROM tcp_redirections WHERE released_at IS NULL ORDER BY port")) {
    const auto app = world.apps.find(text_of(row[0]));
    if (app != world.apps.end()) app->second.tcp_ports.push_back(row[1].as<std::uint16_t>());
  }
}

void load_deployments(pqxx::work& work, World& world) {
  for (const auto& row :
       work.exec("SELECT uuid, app_id, number, action, commit_id, use_cache, instances, flavor, "
                 "state, phase, "
                 "cancel_requested, message, build_id, artifact_digest, switch_version, "
                 "(extract(epoch FROM requested_at) * 1000)::bigint, "
                 "(extract(epoch FROM phase_since) * 1000)::bigint, "
                 "(extract(epoch FROM ended_at) * 1000)::bigint, cause, author, runtime, run_image "
                 "FROM deployments WHERE state = 'WIP' OR uuid IN (SELECT serving_deployment FROM "
                 "apps) OR uuid IN (SELECT e.deployment FROM roll_apps e JOIN rolls r ON r.id = "
                 "e.roll_id WHERE r.state = 'running')")) {
    Deployment d;
    d.uuid = text_of(row[0]);
    d.app_id = text_of(row[1]);
    d.number = row[2].as<int>();
    d.action = value_of<Action>(text_of(row[3]));
    d.commit = text_of(row[4]);
    d.use_cache = row[5].as<bool>();
    d.instances = row[6].as<int>();
    d.flavor = text_of(row[7]);
    d.state = value_of<DeploymentState>(text_of(row[8]));
    d.phase = value_of<Phase>(text_of(row[9]));
    d.cancel_requested = row[10].as<bool>();
    d.message = text_of(row[11]);
    d.build_id = text_of(row[12]);
    d.artifact_digest = text_of(row[13]);
    if (!row[14].is_null()) d.switch_version = row[14].as<std::uint64_t>();
    d.requested_at = time_of(row[15]);
    d.phase_since = time_of(row[16]);
    d.ended_at = optional_time(row[17]);
    d.cause = text_of(row[18]);
    d.author = text_of(row[19]);
    d.runtime = text_of(row[20]);
    d.image = text_of(row[21]);
    if (world.apps.contains(d.app_id)) world.deployments[d.uuid] = std::move(d);
  }
  for (const auto& row :
       work.exec("SELECT b.id, b.app_id, b.deployment, b.commit_id, b.use_cache, b.state, "
                 "b.artifact_digest, "
                 "coalesce(b.output_bytes, 0), b.message, (extract(epoch FROM b.state_since) * "
                 "1000)::bigint, b.plan->>'release', b.plan->'cron', b.runtime, b.run_image "
                 "FROM builds b WHERE b.id IN (SELECT build_id FROM deployments WHERE state = "
                 "'WIP' OR uuid IN (SELECT serving_deployment FROM apps))")) {
    Build b;
    b.id = text_of(row[0]);
    b.app_id = text_of(row[1]);
    b.deployment = text_of(row[2]);
    b.commit = text_of(row[3]);
    b.use_cache = row[4].as<bool>();
    b.state = value_of<BuildState>(text_of(row[5]));
    b.artifact_digest = text_of(row[6]);
    b.output_bytes = row[7].as<std::int64_t>();
    b.message = text_of(row[8]);
    b.state_since = time_of(row[9]);
    b.release = text_of(row[10]);
    b.cron = cron_of(row[11]);
    b.runtime = text_of(row[12]);
    b.image = text_of(row[13]);
    if (!world.apps.contains(b.app_id)) continue;
    world.builds[b.id] = std::move(b);
  }
}

void load_instances(pqxx::work& work, World& world) {
  // Ended ones of the last minutes tell how often a slot failed, those of open deployments how
  // often it was tried.
  for (const auto& row :
       work.exec("SELECT i.id, i.app_id, i.deployment, i.build_id, i.kind, i.number, i.host_id, "
                 "i.flavor, i.wanted, "
                 "i.phase, i.healthy, i.address, i.detail, i.last_lines, i.build_result, "
                 "coalesce((i.stages->>'pid1_ms')::bigint, -1) >= 0, i.routed, i.routed_version, "
                 "(extract(epoch FROM i.created_at) * 1000)::bigint, "
                 "(extract(epoch FROM i.unwanted_at) * 1000)::bigint, "
                 "(extract(epoch FROM i.healthy_at) * 1000)::bigint, "
                 "(extract(epoch FROM i.ended_at) * 1000)::bigint, i.slept, i.job_id, i.exit "
                 "FROM instances i "
                 "WHERE i.ended_at IS NULL OR i.ended_at > now() - interval '10 minutes' OR "
                 "i.deployment IN (SELECT uuid FROM deployments WHERE state = 'WIP') OR "
                 "i.job_id IN (SELECT id FROM jobs WHERE state IN ('queued', 'running'))")) {
    Instance i;
    i.id = text_of(row[0]);
    i.app_id = text_of(row[1]);
    i.deployment = text_of(row[2]);
    i.build_id = text_of(row[3]);
    i.kind = value_of<InstanceKind>(text_of(row[4]));
    i.number = row[5].as<int>();
    i.host_id = text_of(row[6]);
    i.flavor = text_of(row[7]);
    i.wanted = row[8].as<bool>();
    i.phase = text_of(row[9]);
    i.healthy = row[10].as<bool>();
    i.address = text_of(row[11]);
    i.detail = text_of(row[12]);
    i.last_lines = text_of(row[13]);
    if (!row[14].is_null()) {
      auto result = wire::from_text<wire::guest::BuildResult>(text_of(row[14]), "build_result");
      if (result) i.result = *result;
    }
    i.reached_guest = row[15].as<bool>();
    i.routed = value_of<Routed>(text_of(row[16]));
    i.routed_version = row[17].as<std::uint64_t>();
    i.created_at = time_of(row[18]);
    i.unwanted_at = optional_time(row[19]);
    i.healthy_at = optional_time(row[20]);
    i.ended_at = optional_time(row[21]);
    i.slept = row[22].as<bool>();
    i.job_id = text_of(row[23]);
    if (!row[24].is_null()) {
      auto exit = wire::from_text<wire::guest::Exit>(text_of(row[24]), "exit");
      if (exit) i.exit = *exit;
    }
    if (world.apps.contains(i.app_id)) world.instances[i.id] = std::move(i);
  }
}

void load_jobs(pqxx::work& work, World& world) {
  for (const auto& row :
       work.exec("SELECT j.id, j.app_id, j.deployment, j.kind, j.command, j.schedule, j.flavor, "
                 "j.wall_ms, j.state, j.cancel_requested, j.message, j.exit_code, j.instance_id, "
                 "(extract(epoch FROM j.due) * 1000)::bigint, "
                 "(extract(epoch FROM j.requested_at) * 1000)::bigint, "
                 "(extract(epoch FROM j.started_at) * 1000)::bigint, "
                 "(extract(epoch FROM j.ended_at) * 1000)::bigint FROM jobs j "
                 "WHERE j.state IN ('queued', 'running') OR (j.kind = 'release' AND j.deployment "
                 "IN (SELECT uuid FROM deployments WHERE state = 'WIP'))")) {
    Job j;
    j.id = text_of(row[0]);
    j.app_id = text_of(row[1]);
    j.deployment = text_of(row[2]);
    j.kind = value_of<JobKind>(text_of(row[3]));
    j.command = text_of(row[4]);
    j.schedule = text_of(row[5]);
    j.flavor = text_of(row[6]);
    j.wall = milliseconds(row[7].as<std::int64_t>());
    j.state = value_of<JobState>(text_of(row[8]));
    j.cancel_requested = row[9].as<bool>();
    j.message = text_of(row[10]);
    if (!row[11].is_null()) j.exit_code = row[11].as<int>();
    j.instance = text_of(row[12]);
    j.due = optional_time(row[13]);
    j.requested_at = time_of(row[14]);
    j.started_at = optional_time(row[15]);
    j.ended_at = optional_time(row[16]);
    if (world.apps.contains(j.app_id)) world.jobs[j.id] = std::move(j);
  }
  for (const auto& row : work.exec("SELECT app_id, schedule, command, (extract(epoch FROM mark) * "
                                   "1000)::bigint FROM cron_marks"))
    if (world.apps.contains(text_of(row[0])))
      world.cron_marks[{text_of(row[0]), text_of(row[1]), text_of(row[2])}] = time_of(row[3]);
}

void load_surroundings(pqxx::work& work, RulesByText& rules, World& world) {
  for (const auto& row :
       work.exec("SELECT id, memory_mb, (extract(epoch FROM last_seen) * 1000)::bigint, builds "
                 "FROM hosts"))
    world.hosts[text_of(row[0])] = {text_of(row[0]), row[1].as<std::int64_t>(), time_of(row[2]),
                                    row[3].as<bool>()};
  for (const auto& row :
       work.exec("SELECT id, version, draining, (extract(epoch FROM last_seen) * 1000)::bigint, "
                 "(extract(epoch FROM t.covered_since) * 1000)::bigint, "
                 "(extract(epoch FROM t.covered_until) * 1000)::bigint "
                 "FROM proxies LEFT JOIN proxy_traffic t ON t.proxy_id = id")) {
    Proxy proxy{text_of(row[0]), row[1].as<std::uint64_t>(), {}, time_of(row[3]), {}, {}};
    proxy.covered_since = optional_time(row[4]);
    proxy.covered_until = optional_time(row[5]).value_or(Time{});
    proxy.draining = nlohmann::json::parse(text_of(row[2])).get<std::map<std::string, int>>();
    world.proxies[proxy.id] = std::move(proxy);
  }
  for (const auto& row : work.exec("SELECT host, path, app_id, sticky_sessions, force_https, "
                                   "backends, rules, asleep FROM routes WHERE NOT removed")) {
    wire::Route route{text_of(row[0]),
                      text_of(row[1]),
                      text_of(row[2]),
                      row[3].as<bool>(),
                      row[4].as<bool>(),
                      {},
                      rules.read(text_of(row[6])),
                      row[7].as<bool>()};
    route.backends = nlohmann::json::parse(text_of(row[5])).get<std::vector<wire::Backend>>();
    world.routes[{route.host, route.path}] = std::move(route);
  }
  for (auto& route : load_tcp_routes(work)) {
    const auto port = route.port;
    world.tcp_routes[port] = std::move(route);
  }
  world.route_version = work.exec1("SELECT version FROM route_version")[0].as<std::uint64_t>();
}

}  // namespace

std::vector<wire::TcpRoute> load_tcp_routes(pqxx::work& work) {
  std::vector<wire::TcpRoute> routes;
  for (const auto& row :
       work.exec("SELECT port, app_id, backends FROM tcp_routes WHERE NOT removed ORDER BY port"))
    routes.push_back({row[0].as<std::uint16_t>(), text_of(row[1]),
                      nlohmann::json::parse(text_of(row[2])).get<std::vector<wire::Backend>>()});
  return routes;
}

void decide_alone(pqxx::work& work) {
  // LOCK takes no snapshot: the transaction's is that of its next statement. The mode excludes
  // itself, and not ACCESS SHARE, which a back-up holds on every table as long as it takes.
  work.exec0("LOCK TABLE decisions IN EXCLUSIVE MODE");
}

void begin_round(pqxx::work& work) {
  work.exec0("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  decide_alone(work);
}

Time database_time(pqxx::work& work) {
  return time_of(work.exec1("SELECT (extract(epoch FROM now()) * 1000)::bigint")[0]);
}

World load_world(pqxx::work& work) {
  World world;
  RulesByText rules;
  load_apps(work, rules, world);
  load_deployments(work, world);
  load_images(work, world);
  load_rolls(work, world);
  load_jobs(work, world);
  load_instances(work, world);
  load_surroundings(work, rules, world);
  return world;
}

}  // namespace karreg::scheduler
