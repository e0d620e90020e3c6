#include "api/stores/certificates_store.hpp"

#include <algorithm>

#include "common/broker/topology.hpp"
#include "common/db/arrays.hpp"
#include "common/db/outbox.hpp"
#include "common/ids.hpp"
#include "common/wire/json.hpp"
#include "common/wire/news.hpp"

namespace karreg::api {

namespace {

constexpr std::size_t max_uploaded = 100;
/// A chain has a few kilobytes.
constexpr std::size_t max_pem = 64UL * 1024;

std::optional<std::int64_t> number(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return field.as<std::int64_t>();
}

std::vector<std::string> hosts_of(const App& app) {
  std::vector<std::string> hosts;
  for (const auto& vhost : app.vhosts)
    if (std::ranges::find(hosts, vhost.host) == hosts.end()) hosts.push_back(vhost.host);
  return hosts;
}

void wake_scheduler(pqxx::work& work, const std::string& reason, const std::string& app_id) {
  db::outbox_add(work, broker::key::scheduler_wake, wire::to_text(wire::Wake{reason, app_id}));
}

UploadedCertificate uploaded_of(const pqxx::row& row) {
  return {row[0].as<std::string>(), db::words_of(row[1].as<std::string>()),
          db::words_of(row[2].as<std::string>()), row[3].as<std::int64_t>(),
          row[4].as<std::int64_t>()};
}

constexpr const char* uploaded_columns =
    "id, array_to_string(names, ' '), array_to_string(hosts, ' '), (extract(epoch FROM not_before) "
    "* 1000)::bigint, (extract(epoch FROM not_after) * 1000)::bigint";

}  // namespace

std::vector<DomainCertificate> certificates_of_domains(pqxx::work& work, const App& app) {
  std::vector<DomainCertificate> all;
  for (const auto& host : hosts_of(app)) {
    DomainCertificate domain;
    domain.host = host;
    // As the proxies choose: the one that lasts longest; its own name before a wildcard.
    const auto rows = work.exec_params(
        "SELECT origin, CASE WHEN chain <> '' AND not_after > now() THEN 'issued' WHEN order_until "
        "> now() THEN 'ordering' WHEN error <> '' THEN 'failing' WHEN chain <> '' THEN 'expired' "
        "ELSE 'waiting' END, (extract(epoch FROM not_after) * 1000)::bigint, error, (extract(epoch "
        "FROM next_try) * 1000)::bigint FROM certificates WHERE NOT removed AND ((origin = "
        "'uploaded' AND $1 = ANY (hosts)) OR (origin <> 'uploaded' AND (name = $1 OR name = '*' || "
        "substr($1, strpos($1, '.'))))) ORDER BY chain = '', name LIKE '*%', not_after DESC LIMIT "
        "1",
        host);
    if (!rows.empty()) {
      domain.origin = rows[0][0].as<std::string>();
      domain.state = rows[0][1].as<std::string>();
      domain.not_after_ms = number(rows[0][2]);
      domain.error = rows[0][3].as<std::string>();
      domain.next_try_ms = number(rows[0][4]);
    }
    all.push_back(std::move(domain));
  }
  return all;
}

std::vector<UploadedCertificate> uploaded_certificates(pqxx::work& work,
                                                       const std::string& app_id) {
  std::vector<UploadedCertificate> all;
  for (const auto& row : work.exec_params(
           std::string("SELECT ") + uploaded_columns +
               " FROM certificates WHERE origin = 'uploaded' AND app_id = $1 AND NOT removed ORDER "
               "BY created_at, id",
           app_id))
    all.push_back(uploaded_of(row));
  return all;
}

Result<UploadedCertificate> upload_certificate(pqxx::work& work, const crypto::Vault& vault,
                                               const App& app, std::string_view chain,
                                               std::string_view key) {
  const auto bad = [](std::string why) { return Error(ErrorKind::invalid, std::move(why)); };
  if (chain.size() > max_pem || key.size() > max_pem)
    return Error(ErrorKind::too_large, "a chain and its key are at most 64 KiB each");
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto facts = crypto::check_chain(chain, key, now);
  if (!facts) return facts.error();
  std::vector<std::string> hosts;
  std::ranges::copy_if(hosts_of(app), std::back_inserter(hosts),
                       [&](const std::string& host) { return crypto::covers(facts->names, host); });
  if (hosts.empty()) {
    std::string named;
    for (const auto& name : facts->names) named += (named.empty() ? "" : ", ") + name;
    return bad("the certificate covers no domain of the application: it is for " + named);
  }
  // What else was in the texts is not kept: a key among the certificates would be readable.
  std::string clean_chain;
  const auto certificates = crypto::read_certificates(chain);
  for (const auto& certificate : *certificates) clean_chain += crypto::to_pem(*certificate);
  const auto clean_key = crypto::to_pem(*crypto::read_private_key(key));

  const auto names = db::array_of(facts->names);
  work.exec_params0(
      "UPDATE certificates SET removed = true, version = 0 WHERE origin = 'uploaded' AND app_id = "
      "$1 AND names @> $2::text[] AND names <@ $2::text[]",
      app.id, names);
  const auto held = work.exec_params1(
      "SELECT count(*) FROM certificates WHERE origin = 'uploaded' AND app_id = $1 AND NOT removed",
      app.id);
  if (held[0].as<std::size_t>() >= max_uploaded)
    return Error(ErrorKind::conflict, "the application has " + std::to_string(max_uploaded) +
                                          " certificates: remove one that is of no use any more");
  const auto id = ids::make("cert_");
  const auto row = work.exec_params1(
      std::string("INSERT INTO certificates (id, origin, app_id, names, hosts, chain, sealed_key, "
                  "not_before, not_after) VALUES ($1, 'uploaded', $2, $3::text[], $4::text[], $5, "
                  "$6, to_timestamp($7::bigint), to_timestamp($8::bigint)) RETURNING ") +
          uploaded_columns,
      id, app.id, names, db::array_of(hosts), clean_chain, vault.seal(clean_key, id),
      static_cast<std::int64_t>(facts->not_before.time_since_epoch().count()),
      static_cast<std::int64_t>(facts->not_after.time_since_epoch().count()));
  wake_scheduler(work, "certificate uploaded", app.id);
  return uploaded_of(row);
}

Result<void> remove_certificate(pqxx::work& work, const std::string& app_id,
                                const std::string& id) {
  const auto removed = work.exec_params(
      "UPDATE certificates SET removed = true, version = 0 WHERE id = $1 AND app_id = $2 AND "
      "origin = 'uploaded' AND NOT removed RETURNING 1",
      id, app_id);
  if (removed.empty())
    return Error(ErrorKind::not_found, "the application has no uploaded certificate " + id);
  wake_scheduler(work, "certificate removed", app_id);
  return ok();
}

}  // namespace karreg::api
