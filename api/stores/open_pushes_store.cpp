#include "api/stores/open_pushes_store.hpp"

namespace karreg::api {

void open_push(pqxx::work& work, const OpenPush& push) {
  work.exec_params0(
      "INSERT INTO open_pushes (deployment, ref, old_id, new_id, shallow, owner) "
      "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
      push.deployment, push.ref, push.old_id, push.new_id, push.shallow, push.owner);
}

void close_push(pqxx::work& work, const std::string& deployment) {
  work.exec_params0("DELETE FROM open_pushes WHERE deployment = $1", deployment);
}

std::vector<OpenPush> list_orphaned_pushes(pqxx::work& work) {
  std::vector<OpenPush> pushes;
  // The two halves of an advisory lock's key, as pg_locks shows them.
  for (const auto& row : work.exec(
           "SELECT d.uuid, d.app_id, d.state, d.number, p.ref, p.old_id, p.new_id, p.shallow, "
           "p.owner FROM open_pushes p JOIN deployments d ON d.uuid = p.deployment "
           "WHERE NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted "
           "AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database WHERE datname = "
           "current_database()) AND (l.classid::bigint << 32) | l.objid::bigint = p.owner) "
           "ORDER BY d.app_id, d.number"))
    pushes.push_back({row[0].as<std::string>(), row[1].as<std::string>(), row[2].as<std::string>(),
                      row[3].as<int>(), row[4].as<std::string>(), row[5].as<std::string>(),
                      row[6].as<std::string>(), row[7].as<bool>(), row[8].as<std::int64_t>()});
  return pushes;
}

bool claim_branch(pqxx::work& work, const std::string& app_id, const std::string& ref, int number) {
  return !work.exec_params(
                  "INSERT INTO branches (app_id, ref, number) VALUES ($1, $2, $3) "
                  "ON CONFLICT (app_id, ref) DO UPDATE SET number = EXCLUDED.number "
                  "WHERE branches.number <= EXCLUDED.number RETURNING 1",
                  app_id, ref, number)
              .empty();
}

}  // namespace karreg::api
