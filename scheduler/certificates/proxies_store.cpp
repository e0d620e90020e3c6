#include <sstream>

#include "common/broker/topology.hpp"
#include "common/db/outbox.hpp"
#include "common/wire/json.hpp"
#include "scheduler/certificates/stores.hpp"

namespace karreg::scheduler::certificates {

namespace {

std::vector<wire::AcmeChallenge> load_challenges(pqxx::work& work) {
  std::vector<wire::AcmeChallenge> all;
  for (const auto& row :
       work.exec("SELECT kind, host, token, key_authorization FROM acme_challenges WHERE until > "
                 "now() ORDER BY 1, 2, 3"))
    all.push_back({row[0].as<std::string>(), row[1].as<std::string>(), row[2].as<std::string>(),
                   row[3].as<std::string>()});
  return all;
}

/// @p row: id, chain, sealed_key, and its hosts separated by blanks.
wire::ServedCertificate served(const pqxx::row& row) {
  wire::ServedCertificate certificate;
  certificate.id = row[0].as<std::string>();
  certificate.chain = row[1].as<std::string>();
  certificate.sealed_key = row[2].as<std::string>();
  std::istringstream hosts(row[3].as<std::string>());
  for (std::string host; hosts >> host;) certificate.hosts.push_back(host);
  return certificate;
}

}  // namespace

void add_challenges(pqxx::work& work, const std::string& id,
                    const std::vector<wire::AcmeChallenge>& challenges, Time until) {
  for (const auto& challenge : challenges)
    work.exec_params0(
        "INSERT INTO acme_challenges (kind, host, token, key_authorization, certificate_id, until) "
        "VALUES ($1, $2, $3, $4, $5, to_timestamp($6::bigint / 1000.0)) ON CONFLICT (kind, host, "
        "token) DO UPDATE SET key_authorization = $4, certificate_id = $5, until = "
        "to_timestamp($6::bigint / 1000.0)",
        challenge.kind, challenge.host, challenge.token, challenge.key_authorization, id,
        std::to_string(until.time_since_epoch().count()));
}

bool remove_challenges(pqxx::work& work, const std::string& id) {
  return !work.exec_params("DELETE FROM acme_challenges WHERE certificate_id = $1 RETURNING token",
                           id)
              .empty();
}

bool expire_challenges(pqxx::work& work) {
  return !work.exec("DELETE FROM acme_challenges WHERE until <= now() RETURNING token").empty();
}

std::uint64_t tell_proxies(pqxx::work& work, bool challenges) {
  const auto before =
      work.exec1("SELECT version FROM certificate_version FOR UPDATE")[0].as<std::uint64_t>();
  const auto untold = work.exec(
      // One whose application has no host of its any more is shown for nothing.
      "SELECT id, chain, sealed_key, array_to_string(hosts, ' '), removed OR (origin = 'uploaded' "
      "AND hosts = '{}') FROM certificates WHERE version = 0 AND (chain <> '' OR removed) ORDER BY "
      "id");
  if (untold.empty() && !challenges) return before;
  wire::CertificateUpdate update;
  update.base = before;
  update.version = before + 1;
  for (const auto& row : untold) {
    if (row[4].as<bool>())
      update.removes.push_back(row[0].as<std::string>());
    else
      update.upserts.push_back(served(row));
  }
  update.challenges = load_challenges(work);
  work.exec0("DELETE FROM certificates WHERE removed AND version = 0");
  work.exec_params0("UPDATE certificates SET version = $1 WHERE version = 0 AND chain <> ''",
                    update.version);
  work.exec_params0("UPDATE certificate_version SET version = $1, changed_at = now()",
                    update.version);
  db::outbox_add(work, broker::key::proxy_certificates, wire::to_text(update));
  return update.version;
}

void save_report(pqxx::work& work, const wire::CertificateReport& report) {
  if (report.stopping) {
    work.exec_params0("DELETE FROM certificate_proxies WHERE id = $1", report.proxy_id);
    return;
  }
  const auto now = work.exec1(
      "SELECT version, changed_at < now() - interval '2 seconds' OR changed_at IS NULL FROM "
      "certificate_version");
  const auto current = now[0].as<std::uint64_t>();
  const bool settled = now[1].as<bool>();
  work.exec_params0(
      "INSERT INTO certificate_proxies (id, version, last_seen) VALUES ($1, $2, now()) ON CONFLICT "
      "(id) DO UPDATE SET version = $2, last_seen = now()",
      // A version that never was comes from another database: it acknowledges nothing.
      report.proxy_id, report.version > current ? 0 : report.version);
  // An update that was lost shows in a report that stays behind.
  if (!report.wants_snapshot && (report.version == current || !settled)) return;
  wire::CertificateSnapshot snapshot;
  snapshot.version = current;
  snapshot.for_version = report.version;
  for (const auto& row : work.exec(
           "SELECT id, chain, sealed_key, array_to_string(hosts, ' ') FROM certificates WHERE "
           "chain <> '' AND NOT removed AND (origin <> 'uploaded' OR hosts <> '{}')"))
    snapshot.certificates.push_back(served(row));
  snapshot.challenges = load_challenges(work);
  db::outbox_add(work, broker::key::proxy_certificate_snapshot(report.proxy_id),
                 wire::to_text(snapshot));
}

Acknowledged acknowledged(pqxx::work& work, std::uint64_t version) {
  Acknowledged result;
  for (const auto& row : work.exec_params(
           "SELECT id, version >= $1 FROM certificate_proxies WHERE last_seen > now() - interval "
           "'10 seconds' ORDER BY id",
           version)) {
    ++result.live;
    if (!row[1].as<bool>()) result.behind.push_back(row[0].as<std::string>());
  }
  return result;
}

}  // namespace karreg::scheduler::certificates
