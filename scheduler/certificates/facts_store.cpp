#include "common/db/arrays.hpp"
#include "scheduler/certificates/stores.hpp"

namespace karreg::scheduler::certificates {

namespace {

Origin origin_of(const std::string& word) {
  if (word == "acme") return Origin::acme;
  return word == "local" ? Origin::local : Origin::uploaded;
}

std::optional<Time> time_of(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return Time(std::chrono::milliseconds(field.as<std::int64_t>()));
}

}  // namespace

void alone(pqxx::work& work) {
  work.exec1("SELECT version FROM certificate_version FOR UPDATE");
}

Time database_time(pqxx::work& work) {
  const auto row = work.exec1("SELECT (extract(epoch FROM now()) * 1000)::bigint");
  return Time(std::chrono::milliseconds(row[0].as<std::int64_t>()));
}

void confine_uploaded(pqxx::work& work) {
  // An expired one would hide the platform's own, which may be good.
  work.exec0(
      "UPDATE certificates c SET hosts = now.hosts, version = 0 FROM (SELECT u.id, "
      "coalesce(array_agg(DISTINCT v.host) FILTER (WHERE (v.host = ANY (u.names) OR '*' || "
      "substr(v.host, strpos(v.host, '.')) = ANY (u.names)) AND u.not_after > now()), '{}') AS "
      "hosts "
      "FROM certificates u "
      "LEFT JOIN vhosts v ON v.app_id = u.app_id WHERE u.origin = 'uploaded' GROUP BY u.id) now "
      "WHERE now.id = c.id AND NOT c.removed AND NOT (c.hosts @> now.hosts AND c.hosts <@ "
      "now.hosts)");
}

Facts load_facts(pqxx::work& work) {
  Facts facts;
  for (const auto& row :
       work.exec("SELECT v.host, min(a.org_id) FROM vhosts v JOIN apps a ON a.id = v.app_id WHERE "
                 "a.deleted_at IS NULL GROUP BY v.host ORDER BY 1")) {
    facts.hosts.push_back(row[0].as<std::string>());
    facts.owners.emplace(facts.hosts.back(), row[1].as<std::string>());
  }
  for (const auto& row : work.exec(
           "SELECT c.id, c.origin, c.name, array_to_string(CASE WHEN c.origin = 'uploaded' THEN "
           "c.hosts ELSE c.names END, ' '), "
           "(extract(epoch FROM c.not_before) * 1000)::bigint, "
           "(extract(epoch FROM c.not_after) * 1000)::bigint, "
           "(extract(epoch FROM c.next_try) * 1000)::bigint, coalesce(c.order_until > now(), "
           "false), c.origin = 'uploaded' AND NOT EXISTS (SELECT FROM apps a WHERE a.id = c.app_id "
           "AND a.deleted_at IS NULL) FROM certificates c WHERE NOT c.removed ORDER BY c.name, "
           "c.id")) {
    Held held;
    held.id = row[0].as<std::string>();
    held.origin = origin_of(row[1].as<std::string>());
    held.name = row[2].as<std::string>();
    held.names = db::words_of(row[3].as<std::string>());
    held.not_before = time_of(row[4]);
    held.not_after = time_of(row[5]);
    held.next_try = time_of(row[6]);
    held.ordering = row[7].as<bool>();
    held.without_owner = row[8].as<bool>();
    facts.held.push_back(std::move(held));
  }
  facts.ordered_last_hour =
      work.exec1("SELECT count(*) FROM acme_orders WHERE ordered_at > now() - interval '1 hour'")[0]
          .as<std::size_t>();
  return facts;
}

}  // namespace karreg::scheduler::certificates
