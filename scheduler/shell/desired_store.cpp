#include "common/broker/topology.hpp"
#include "common/db/outbox.hpp"
#include "common/wire/json.hpp"
#include "scheduler/shell/names.hpp"
#include "scheduler/shell/stores.hpp"

namespace karreg::scheduler {

namespace {
// Specifications never change, so the set of ids tells whether a host has the newest state.
constexpr const char* wanted_set =
    "(SELECT coalesce(string_agg(id, ',' ORDER BY id), '') FROM instances "
    "WHERE host_id = h.id AND wanted AND ended_at IS NULL)";
}  // namespace

std::vector<std::string> hosts_to_update(pqxx::work& work) {
  std::vector<std::string> hosts;
  for (const auto& row :
       work.exec(std::string("SELECT h.id FROM hosts h WHERE generation_sent = 0 OR "
                             "desired_hash <> md5(") +
                 wanted_set + ")"))
    hosts.push_back(row[0].as<std::string>());
  return hosts;
}

std::vector<InstanceRow> wanted_instances(pqxx::work& work, const std::string& host_id) {
  std::vector<InstanceRow> rows;
  for (const auto& row : work.exec_params(
           "SELECT i.id, i.app_id, a.name, i.deployment, coalesce(d.commit_id, ''), d.sealed_env, "
           "coalesce(i.build_id, ''), i.kind, i.number, i.flavor, i.phase <> 'placed', "
           "coalesce(d.artifact_digest, ''), "
           "coalesce(b.plan, t.plan, 'null'), coalesce(b.runtime, t.runtime, ''), "
           "coalesce(d.run_image, b.run_image, ''), coalesce(j.id, ''), coalesce(j.kind, ''), "
           "coalesce(j.command, ''), coalesce(j.wall_ms, 0) "
           "FROM instances i JOIN apps a ON a.id = i.app_id JOIN deployments d ON d.uuid = "
           "i.deployment "
           "LEFT JOIN builds b ON b.id = coalesce(i.build_id, d.build_id) LEFT JOIN artifacts t ON "
           "t.digest = "
           "d.artifact_digest LEFT JOIN jobs j ON j.id = i.job_id "
           "WHERE i.host_id = $1 AND i.wanted AND i.ended_at IS NULL ORDER BY i.id",
           host_id)) {
    const auto text = [&](int column) { return row[column].as<std::string>(); };
    rows.push_back({text(0), text(1), text(2), text(3), text(4), text(5), text(6),
                    value_of<InstanceKind>(text(7)), row[8].as<int>(), text(9), row[10].as<bool>(),
                    text(11), text(12), text(13), text(14), text(15), text(16), text(17),
                    row[18].as<std::int64_t>()});
  }
  return rows;
}

void fail_instance(pqxx::work& work, const std::string& id, const std::string& why) {
  work.exec_params0("UPDATE instances SET phase = 'failed', detail = $2 WHERE id = $1", id, why);
}

void send_desired_again(pqxx::work& work, const std::string& host_id) {
  work.exec_params0("UPDATE hosts SET desired_hash = '' WHERE id = $1", host_id);
}

void send_desired(pqxx::work& work, const std::string& host_id, std::vector<wire::VmSpec> vms) {
  wire::HostDesired desired;
  desired.host_id = host_id;
  desired.vms = std::move(vms);
  desired.generation =
      work.exec_params1(std::string("UPDATE hosts h SET generation_sent = generation_sent + 1, "
                                    "desired_hash = md5(") +
                            wanted_set + ") WHERE id = $1 RETURNING generation_sent",
                        host_id)[0]
          .as<std::uint64_t>();
  db::outbox_add(work, broker::key::host_desired(host_id), wire::to_text(desired));
}

}  // namespace karreg::scheduler
