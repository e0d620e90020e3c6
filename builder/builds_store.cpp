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

/// Rows and files of an artifact are changed by one at a time, until the end of the transaction.
void lock_artifact(pqxx::work& work, const std::string& digest) {
  work.exec_params("SELECT pg_advisory_xact_lock(hashtextextended('artifact ' || $1, 0))", digest);
}

/// Of an artifact `a`: nothing that runs, is under way or may be gone back to names it. The
/// versions of an app are its successful deployments, those that only scaled counted once.
constexpr const char* unneeded =
    " a.created_at < now() - interval '1 hour' "
    "AND NOT EXISTS (SELECT FROM deployments d"
    "                 WHERE d.artifact_digest = a.digest AND d.state = 'WIP') "
    "AND NOT EXISTS (SELECT FROM builds b JOIN deployments d ON d.uuid = b.deployment"
    "                 WHERE b.artifact_digest = a.digest AND d.state = 'WIP') "
    "AND NOT EXISTS (SELECT FROM deployments d JOIN apps p ON p.serving_deployment = d.uuid"
    "                 WHERE d.artifact_digest = a.digest) "
    "AND NOT EXISTS (SELECT FROM jobs j JOIN deployments d ON d.uuid = j.deployment"
    "                 WHERE d.artifact_digest = a.digest AND j.state IN ('queued', 'running')) "
    "AND a.digest NOT IN ("
    "  SELECT digest FROM ("
    "    SELECT d.artifact_digest AS digest, row_number() OVER ("
    "             PARTITION BY d.app_id ORDER BY max(d.number) DESC) AS place"
    "      FROM deployments d JOIN apps p ON p.id = d.app_id"
    "     WHERE d.state = 'OK' AND d.artifact_digest IS NOT NULL AND p.deleted_at IS NULL"
    "     GROUP BY d.app_id, d.artifact_digest) versions"
    "   WHERE place <= 5) ";

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
        "   SET lease_until = now() + $1 * interval '1 millisecond', attempts = attempts + 1,"
        "       state = CASE b.state WHEN 'queued' THEN 'planning' ELSE b.state END,"
        "       state_since = CASE b.state WHEN 'queued' THEN now() ELSE b.state_since END"
        "  FROM next, deployments d, apps a"
        " WHERE b.id = next.id AND d.uuid = b.deployment AND a.id = b.app_id "
        "RETURNING b.id, b.app_id, b.deployment, b.commit_id, b.use_cache, b.state = 'built',"
        "          a.variant, d.sealed_env, b.lease_until::text,"
        "          coalesce(b.plan::text, ''), coalesce(b.build_key, ''),"
        "          coalesce(b.output_bytes, 0),"
        "          (extract(epoch FROM now() - b.created_at) * 1000)::bigint, b.attempts,"
        "          coalesce((extract(epoch FROM now() - b.waits_since) * 1000)::bigint, -1)",
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
    build.attempts = row[13].as<int>();
    if (const auto waited = row[14].as<std::int64_t>(); waited >= 0)
      build.waited = std::chrono::milliseconds(waited);
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
    // Asked of the builds, for equal bytes are one artifact, whatever keys they were built under.
    const pqxx::result rows = work.exec_params(
        "SELECT a.digest, a.bytes FROM builds b JOIN artifacts a ON a.digest = b.artifact_digest "
        "WHERE b.build_key = $1 AND b.state = 'succeeded' ORDER BY b.created_at DESC LIMIT 1",
        build_key);
    if (rows.empty()) return std::optional<Artifact>();
    return std::optional<Artifact>(
        {rows.front()[0].as<std::string>(), rows.front()[1].as<std::int64_t>()});
  });
}

Result<Room> BuildsStore::reserve(const ClaimedBuild& build, std::int64_t bytes,
                                  const std::function<Result<Room>(const Promised&)>& decide) {
  return database_.transact([&](pqxx::work& work) -> Result<Room> {
    // One builder at a time: two that look together would both find the same room.
    work.exec("SELECT pg_advisory_xact_lock(hashtext('disk space of builds'))");
    const pqxx::row others = work.exec_params1(
        "SELECT coalesce(sum(disk_bytes), 0)::bigint, count(disk_bytes) FROM builds "
        "WHERE state NOT IN ('succeeded', 'failed') AND id <> $1",
        build.id);
    auto room = decide({others[0].as<std::int64_t>(), others[1].as<int>()});
    if (!room || *room != Room::enough) return room;
    const pqxx::result changed = work.exec_params(
        "UPDATE builds SET disk_bytes = $1, waits_since = NULL "
        "WHERE id = $2 AND state = 'planning' AND lease_until = $3::timestamptz",
        bytes, build.id, build.lease);
    if (auto ours = one_row(changed, build); !ours) return ours.error();
    return room;
  });
}

Result<void> BuildsStore::postponed(const ClaimedBuild& build, std::chrono::milliseconds pause) {
  return database_.transact([&](pqxx::work& work) -> Result<void> {
    const pqxx::result changed = work.exec_params(
        "UPDATE builds SET lease_until = now() + $1 * interval '1 millisecond',"
        "       attempts = attempts - 1, disk_bytes = NULL,"
        "       waits_since = coalesce(waits_since, now()) "
        "WHERE id = $2 AND state = 'planning' AND lease_until = $3::timestamptz",
        pause.count(), build.id, build.lease);
    return one_row(changed, build);
  });
}

Result<void> BuildsStore::prepared(const ClaimedBuild& build, const Planned& planned,
                                   const std::function<Result<void>()>& publish) {
  return database_.transact([&](pqxx::work& work) -> Result<void> {
    const pqxx::result changed = work.exec_params(
        "UPDATE builds SET state = 'prepared', state_since = now(), lease_until = NULL,"
        "       attempts = 0,"
        "       runtime = $1, plan = $2::jsonb, run_image = $3, build_key = $4 "
        "WHERE id = $5 AND state = 'planning' AND lease_until = $6::timestamptz",
        planned.plan.runtime, wire::to_text(planned.plan), planned.run_image, planned.build_key,
        build.id, build.lease);
    if (auto ours = one_row(changed, build); !ours) return ours.error();
    if (auto published = publish(); !published) return published.error();
    wake_scheduler(work, build, "build prepared");
    return ok();
  });
}

Result<bool> BuildsStore::reused(const ClaimedBuild& build, const Planned& planned,
                                 const Artifact& artifact) {
  return database_.transact([&](pqxx::work& work) -> Result<bool> {
    // Until the commit: a sweep of artifacts waits, and then sees that this build names it.
    if (work.exec_params("SELECT FROM artifacts WHERE digest = $1 FOR KEY SHARE", artifact.digest)
            .empty())
      return false;
    const pqxx::result changed = work.exec_params(
        "UPDATE builds SET state = 'succeeded', state_since = now(), lease_until = NULL,"
        "       runtime = $1, plan = $2::jsonb, run_image = $3, build_key = $4,"
        "       artifact_digest = $5 "
        "WHERE id = $6 AND state = 'planning' AND lease_until = $7::timestamptz",
        planned.plan.runtime, wire::to_text(planned.plan), planned.run_image, planned.build_key,
        artifact.digest, build.id, build.lease);
    if (auto ours = one_row(changed, build); !ours) return ours.error();
    wake_scheduler(work, build, "build reused");
    return true;
  });
}

Result<void> BuildsStore::succeeded(const ClaimedBuild& build, const Artifact& artifact,
                                    const std::function<Result<void>()>& keep) {
  return database_.transact([&](pqxx::work& work) -> Result<void> {
    lock_artifact(work, artifact.digest);
    if (auto kept = keep(); !kept) return kept.error();
    work.exec_params0(
        "INSERT INTO artifacts (digest, bytes, runtime, plan) VALUES ($1, $2, $3, $4::jsonb) "
        "ON CONFLICT (digest) DO UPDATE SET plan = EXCLUDED.plan",
        artifact.digest, artifact.bytes, build.plan.runtime, wire::to_text(build.plan));
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

Result<std::vector<std::string>> BuildsStore::drop_unneeded_artifacts() {
  return database_.transact([&](pqxx::work& work) -> Result<std::vector<std::string>> {
    // Locked first, then asked again: who would name one now waits, and who did before is seen.
    const pqxx::row locked =
        work.exec1(std::string("SELECT coalesce(string_agg(digest, ','), '') FROM ("
                               "  SELECT a.digest FROM artifacts a WHERE") +
                   unneeded + "LIMIT 1000 FOR UPDATE OF a SKIP LOCKED) locked");
    std::vector<std::string> dropped;
    for (const auto& row :
         work.exec_params(std::string("DELETE FROM artifacts a"
                                      " WHERE a.digest = ANY(string_to_array($1, ',')) AND") +
                              unneeded + "RETURNING a.digest",
                          locked[0].as<std::string>()))
      dropped.push_back(row[0].as<std::string>());
    return dropped;
  });
}

Result<std::set<std::string>> BuildsStore::artifacts() {
  return database_.transact([&](pqxx::work& work) -> Result<std::set<std::string>> {
    std::set<std::string> digests;
    for (const auto& row : work.exec("SELECT digest FROM artifacts"))
      digests.insert(row[0].as<std::string>());
    return digests;
  });
}

Result<bool> BuildsStore::without_row(const std::string& digest,
                                      const std::function<void()>& remove) {
  return database_.transact([&](pqxx::work& work) -> Result<bool> {
    lock_artifact(work, digest);
    if (!work.exec_params("SELECT FROM artifacts WHERE digest = $1", digest).empty()) return false;
    remove();
    return true;
  });
}

Result<std::set<std::string>> BuildsStore::images_in_use() {
  return database_.transact([&](pqxx::work& work) -> Result<std::set<std::string>> {
    std::set<std::string> digests;
    for (const auto& row :
         // A deployment that a roll has made runs on another image than its build was made for.
         work.exec("SELECT run_image FROM builds WHERE run_image IS NOT NULL"
                   "  AND state NOT IN ('succeeded', 'failed') "
                   "UNION SELECT coalesce(d.run_image, b.run_image)"
                   "  FROM deployments d LEFT JOIN builds b ON b.id = d.build_id"
                   " WHERE coalesce(d.run_image, b.run_image) IS NOT NULL AND ("
                   "       d.state = 'WIP'"
                   "       OR EXISTS (SELECT FROM apps a WHERE a.serving_deployment = d.uuid)"
                   "       OR EXISTS (SELECT FROM instances i"
                   "                   WHERE i.deployment = d.uuid AND i.ended_at IS NULL))"))
      digests.insert(row[0].as<std::string>());
    return digests;
  });
}

}  // namespace karreg::builder
