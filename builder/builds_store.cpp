#include "builder/builds_store.hpp"

#include "common/broker/topology.hpp"
#include "common/db/database.hpp"
#include "common/db/outbox.hpp"
#include "common/wire/json.hpp"
#include "common/wire/news.hpp"

namespace karreg::builder {
namespace {

Error lease_lost(const ClaimedBuild& build) {
  return {ErrorKind::conflict, "the build " + build.id + " is no longer ours"};
}

void wake_scheduler(pqxx::work& work, const ClaimedBuild& build, const std::string& reason) {
  db::outbox_add(work, broker::key::scheduler_wake,
                 wire::to_text(wire::Wake{reason, build.app_id}));
}

/// One changed row means that the lease was still ours.
Result<void> one_row(const pqxx::result& result, const ClaimedBuild& build) {
  if (result.affected_rows() != 1) return lease_lost(build);
  return ok();
}

const char* state_of(const ClaimedBuild& build) {
  return build.built ? "built" : "planning";
}

}  // namespace

Result<std::optional<ClaimedBuild>> BuildsStore::claim(std::chrono::milliseconds lease) {
  return database_.transact([&](pqxx::work& work) -> Result<std::optional<ClaimedBuild>> {
    const pqxx::result rows = work.exec_params(
        "WITH next AS ("
        "  SELECT id FROM builds"
        "   WHERE state IN ('queued', 'planning', 'built')"
        "     AND (lease_until IS NULL OR lease_until < now())"
        "   ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED) "
        "UPDATE builds b"
        "   SET lease_until = now() + $1 * interval '1 millisecond',"
        "       state = CASE b.state WHEN 'queued' THEN 'planning' ELSE b.state END,"
        "       state_since = CASE b.state WHEN 'queued' THEN now() ELSE b.state_since END"
        "  FROM next, deployments d, apps a"
        " WHERE b.id = next.id AND d.uuid = b.deployment AND a.id = b.app_id "
        "RETURNING b.id, b.app_id, b.deployment, b.commit_id, b.use_cache, b.state = 'built',"
        "          a.variant, d.sealed_env, b.lease_until::text,"
        "          coalesce(b.plan::text, ''), coalesce(b.build_key, ''),"
        "          coalesce(b.output_bytes, 0),"
        "          (extract(epoch FROM now() - b.created_at) * 1000)::bigint",
        lease.count());
    if (rows.empty()) return std::optional<ClaimedBuild>();
    const auto& row = rows.front();
    ClaimedBuild build;
    build.id = row[0].as<std::string>();
    build.app_id = row[1].as<std::string>();
    build.deployment = row[2].as<std::string>();
    build.commit_id = row[3].as<std::string>();
    build.use_cache = row[4].as<bool>();
    build.built = row[5].as<bool>();
    build.variant = row[6].as<std::string>();
    build.sealed_env = row[7].as<std::string>();
    build.lease = row[8].as<std::string>();
    if (const auto plan = row[9].as<std::string>(); !plan.empty()) {
      auto parsed = wire::from_text<wire::BuildPlan>(plan, "builds.plan");
      if (!parsed) return parsed.error();
      build.plan = std::move(*parsed);
    }
    build.build_key = row[10].as<std::string>();
    build.output_bytes = row[11].as<std::int64_t>();
    build.age_ms = row[12].as<std::int64_t>();
    return std::optional<ClaimedBuild>(std::move(build));
  });
}

Result<void> BuildsStore::renew(ClaimedBuild& build, std::chrono::milliseconds lease) {
  auto until = database_.transact([&](pqxx::work& work) -> Result<std::string> {
    const pqxx::result rows = work.exec_params(
        "UPDATE builds SET lease_until = now() + $1 * interval '1 millisecond' "
        "WHERE id = $2 AND state = $3 AND lease_until = $4::timestamptz RETURNING "
        "lease_until::text",
        lease.count(), build.id, state_of(build), build.lease);
    if (rows.empty()) return lease_lost(build);
    return rows.front()[0].as<std::string>();
  });
  if (!until) return until.error();
  build.lease = std::move(*until);
  return ok();
}

Result<std::optional<Artifact>> BuildsStore::artifact_of(const std::string& build_key) {
  return database_.transact([&](pqxx::work& work) -> Result<std::optional<Artifact>> {
    const pqxx::result rows =
        work.exec_params("SELECT digest, bytes FROM artifacts WHERE build_key = $1", build_key);
    if (rows.empty()) return std::optional<Artifact>();
    return std::optional<Artifact>(
        {rows.front()[0].as<std::string>(), rows.front()[1].as<std::int64_t>()});
  });
}

Result<void> BuildsStore::prepared(const ClaimedBuild& build, const Planned& planned) {
  return database_.transact([&](pqxx::work& work) -> Result<void> {
    const pqxx::result changed = work.exec_params(
        "UPDATE builds SET state = 'prepared', state_since = now(), lease_until = NULL,"
        "       runtime = $1, plan = $2::jsonb, build_key = $3 "
        "WHERE id = $4 AND state = 'planning' AND lease_until = $5::timestamptz",
        planned.plan.runtime, wire::to_text(planned.plan), planned.build_key, build.id,
        build.lease);
    if (auto ours = one_row(changed, build); !ours) return ours.error();
    wake_scheduler(work, build, "build prepared");
    return ok();
  });
}

Result<void> BuildsStore::reused(const ClaimedBuild& build, const Planned& planned,
                                 const Artifact& artifact) {
  return database_.transact([&](pqxx::work& work) -> Result<void> {
    const pqxx::result changed = work.exec_params(
        "UPDATE builds SET state = 'succeeded', state_since = now(), lease_until = NULL,"
        "       runtime = $1, plan = $2::jsonb, build_key = $3, artifact_digest = $4 "
        "WHERE id = $5 AND state = 'planning' AND lease_until = $6::timestamptz",
        planned.plan.runtime, wire::to_text(planned.plan), planned.build_key, artifact.digest,
        build.id, build.lease);
    if (auto ours = one_row(changed, build); !ours) return ours.error();
    wake_scheduler(work, build, "build reused");
    return ok();
  });
}

Result<void> BuildsStore::succeeded(const ClaimedBuild& build, const Artifact& artifact) {
  return database_.transact([&](pqxx::work& work) -> Result<void> {
    // A build without the cache gives the key a new artifact; the old one keeps its bytes for the
    // deployments that name it.
    work.exec_params0(
        "UPDATE artifacts SET build_key = build_key || ':' || digest "
        "WHERE build_key = $1 AND digest <> $2",
        build.build_key, artifact.digest);
    work.exec_params0(
        "INSERT INTO artifacts (digest, build_key, bytes, runtime, plan) "
        "VALUES ($1, $2, $3, $4, $5::jsonb) "
        "ON CONFLICT (digest) DO UPDATE SET build_key = EXCLUDED.build_key, plan = EXCLUDED.plan",
        artifact.digest, build.build_key, artifact.bytes, build.plan.runtime,
        wire::to_text(build.plan));
    const pqxx::result changed = work.exec_params(
        "UPDATE builds SET state = 'succeeded', state_since = now(), lease_until = NULL,"
        "       artifact_digest = $1 "
        "WHERE id = $2 AND state = 'built' AND lease_until = $3::timestamptz",
        artifact.digest, build.id, build.lease);
    if (auto ours = one_row(changed, build); !ours) return ours.error();
    wake_scheduler(work, build, "build succeeded");
    return ok();
  });
}

Result<void> BuildsStore::failed(const ClaimedBuild& build, const std::string& message) {
  return database_.transact([&](pqxx::work& work) -> Result<void> {
    const pqxx::result changed = work.exec_params(
        "UPDATE builds SET state = 'failed', state_since = now(), lease_until = NULL, message = $1 "
        "WHERE id = $2 AND state = $3 AND lease_until = $4::timestamptz",
        message, build.id, state_of(build), build.lease);
    if (auto ours = one_row(changed, build); !ours) return ours.error();
    wake_scheduler(work, build, "build failed");
    return ok();
  });
}

Result<std::set<std::string>> BuildsStore::open_builds() {
  return database_.transact([&](pqxx::work& work) -> Result<std::set<std::string>> {
    std::set<std::string> ids;
    for (const auto& row :
         work.exec("SELECT id FROM builds WHERE state NOT IN ('succeeded', 'failed')"))
      ids.insert(row[0].as<std::string>());
    return ids;
  });
}

Result<std::set<std::string>> BuildsStore::live_apps() {
  return database_.transact([&](pqxx::work& work) -> Result<std::set<std::string>> {
    std::set<std::string> ids;
    for (const auto& row : work.exec("SELECT id FROM apps WHERE torn_down_at IS NULL"))
      ids.insert(row[0].as<std::string>());
    return ids;
  });
}

}  // namespace karreg::builder
