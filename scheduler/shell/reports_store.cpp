#include "common/broker/topology.hpp"
#include "common/db/arrays.hpp"
#include "common/db/outbox.hpp"
#include "common/json.hpp"
#include "common/wire/json.hpp"
#include "scheduler/shell/rules_by_text.hpp"
#include "scheduler/shell/stores.hpp"

namespace karreg::scheduler {

namespace {
/// What a guest wrote, as PostgreSQL can keep it: neither its text nor its jsonb holds a NUL.
std::string without_nul(std::string text) {
  std::erase(text, '\0');
  return text;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return without_nul(text);
}

std::string result_of(wire::guest::BuildResult result) {
  result.failed_step = without_nul(result.failed_step);
  result.reason = without_nul(result.reason);
  return wire::to_text(result);
}
/// How the guest says that it ended; NULL: it did not say.
std::optional<std::string> exit_of(const wire::VmStatus& vm) {
  if (vm.phase != "exited" || vm.exit.reason.empty()) return std::nullopt;
  wire::guest::Exit exit = vm.exit;
  exit.reason = without_nul(exit.reason);
  return wire::to_text(exit);
}
}  // namespace

bool save_host_report(pqxx::work& work, const wire::HostReport& report) {
  const auto host = work.exec_params1(
      "INSERT INTO hosts (id, address, memory_mb, vcpus, accelerator, accelerator_detail, "
      "agent_boot, generation_applied, generation_sent, builds, last_seen) VALUES ($1, $2, $3, $4, "
      "$5, $6, $7, $8, $8, $9, now()) "
      "ON CONFLICT (id) DO UPDATE SET address = $2, memory_mb = $3, vcpus = $4, accelerator = $5, "
      "accelerator_detail = $6, agent_boot = $7, generation_applied = $8, builds = $9, "
      "last_seen = now(), "
      // One that has a newer state than was ever sent knew another database: it listens to newer
      // ones only.
      "generation_sent = greatest(hosts.generation_sent, $8), "
      "desired_hash = CASE WHEN hosts.generation_sent < $8 THEN '' ELSE hosts.desired_hash END "
      "RETURNING generation_sent",
      report.host_id, report.address, report.memory_mb, report.vcpus, report.accelerator,
      report.accelerator_detail, report.agent_boot, report.generation, report.builds);
  std::vector<std::string> listed;
  for (const auto& vm : report.vms) {
    const bool built = vm.phase == "built";
    work.exec_params0(
        "UPDATE instances SET phase = $3, healthy = $4 AND wanted, address = $5, detail = $6, "
        "last_lines = $7, "
        "stages = $8::jsonb, build_result = $9::jsonb, exit = $10::jsonb, "
        // A VM that boots (again) or was adopted has to become healthy before it can be sick.
        "healthy_at = CASE WHEN $4 THEN coalesce(healthy_at, now()) "
        "WHEN $3 IN ('creating', 'booting') THEN NULL ELSE healthy_at END "
        "WHERE id = $1 AND host_id = $2 AND ended_at IS NULL AND (phase, healthy, address, detail, "
        "stages) "
        "IS DISTINCT FROM ($3, $4 AND wanted, $5, $6, $8::jsonb)",
        vm.instance_id, report.host_id, vm.phase, vm.healthy, vm.address, without_nul(vm.detail),
        joined(vm.last_lines), wire::to_text(vm.stages),
        built ? std::optional(result_of(vm.build)) : std::nullopt, exit_of(vm));
    listed.push_back(vm.instance_id);
  }
  const auto sent = host[0].as<std::uint64_t>();
  // An agent that has the newest state and does not list an unwanted instance has got rid of it.
  if (report.generation == sent)
    work.exec_params0(
        "UPDATE instances SET ended_at = now() WHERE host_id = $1 AND NOT wanted AND ended_at IS "
        "NULL "
        "AND id <> ALL ($2::text[])",
        report.host_id, db::array_of(listed));
  return report.generation < sent;
}

void save_proxy_report(pqxx::work& work, const wire::ProxyReport& report) {
  if (report.stopping) {
    work.exec_params0("DELETE FROM proxies WHERE id = $1", report.proxy_id);
    work.exec_params0("DELETE FROM proxy_traffic WHERE proxy_id = $1", report.proxy_id);
    return;
  }
  const auto table = work.exec1(
      "SELECT version, changed_at < now() - interval '2 seconds' OR changed_at IS NULL FROM "
      "route_version");
  const auto current = table[0].as<std::uint64_t>();
  const bool settled = table[1].as<bool>();
  work.exec_params0(
      "INSERT INTO proxies (id, version, draining, last_seen) VALUES ($1, $2, $3::jsonb, now()) "
      "ON CONFLICT (id) DO UPDATE SET version = $2, draining = $3::jsonb, last_seen = now()",
      // A version that never was comes from another database: it acknowledges nothing.
      report.proxy_id, report.version > current ? 0 : report.version,
      wire::to_text(report.draining));
  // An update that was lost shows in a report that stays behind.
  if (!report.wants_snapshot && (report.version == current || !settled)) return;
  wire::RouteSnapshot snapshot;
  snapshot.version = current;
  snapshot.for_version = report.version;
  RulesByText rules;
  for (const auto& row : work.exec("SELECT host, path, app_id, sticky_sessions, force_https, "
                                   "backends, rules, asleep FROM routes WHERE NOT removed")) {
    wire::Route route{row[0].as<std::string>(),
                      row[1].as<std::string>(),
                      row[2].as<std::string>(),
                      row[3].as<bool>(),
                      row[4].as<bool>(),
                      {},
                      rules.read(row[6].as<std::string>(std::string())),
                      row[7].as<bool>()};
    route.backends =
        nlohmann::json::parse(row[5].as<std::string>()).get<std::vector<wire::Backend>>();
    snapshot.routes.push_back(std::move(route));
  }
  snapshot.tcp_routes = load_tcp_routes(work);
  db::outbox_add(work, broker::key::proxy_snapshot(report.proxy_id), wire::to_text(snapshot));
}

}  // namespace karreg::scheduler
