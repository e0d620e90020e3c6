#include "common/broker/topology.hpp"
#include "common/db/arrays.hpp"
#include "common/db/outbox.hpp"
#include "common/ids.hpp"
#include "common/wire/json.hpp"
#include "common/wire/logs.hpp"
#include "scheduler/certificates/stores.hpp"

namespace karreg::scheduler::certificates {

namespace {

/// A certificate authority's page of an error would fill a terminal.
constexpr std::size_t max_why = 2000;

std::string ms(Time time) {
  return std::to_string(time.time_since_epoch().count());
}

std::string seconds(crypto::Seconds time) {
  return std::to_string(time.time_since_epoch().count());
}

std::string storable(std::string text) {
  std::erase(text, '\0');
  return text.substr(0, max_why);
}

std::string word_of(Origin origin) {
  return origin == Origin::acme ? "acme" : "local";
}

}  // namespace

std::string row_of(pqxx::work& work, const Order& order) {
  if (!order.id.empty()) return order.id;
  auto id = ids::make("cert_");
  work.exec_params0("INSERT INTO certificates (id, origin, name) VALUES ($1, $2, $3)", id,
                    word_of(order.origin), order.name);
  return id;
}

void begin_order(pqxx::work& work, const std::string& id, Time until) {
  work.exec_params0(
      "UPDATE certificates SET order_until = to_timestamp($2::bigint / 1000.0) WHERE id = $1", id,
      ms(until));
  work.exec0("INSERT INTO acme_orders DEFAULT VALUES");
}

bool save_issued(pqxx::work& work, const std::string& id, const Issued& issued) {
  const auto saved = work.exec_params(
      "UPDATE certificates SET chain = $2, sealed_key = $3, names = $4::text[], not_before = "
      "to_timestamp($5::bigint), not_after = to_timestamp($6::bigint), error = '', failures = 0, "
      "next_try = NULL, order_until = NULL, version = 0 WHERE id = $1 AND NOT removed RETURNING id",
      id, issued.chain, issued.sealed_key, db::array_of(issued.facts.names),
      seconds(issued.facts.not_before), seconds(issued.facts.not_after));
  return !saved.empty();
}

int failures_of(pqxx::work& work, const std::string& id) {
  const auto rows = work.exec_params("SELECT failures FROM certificates WHERE id = $1", id);
  return rows.empty() ? 0 : rows[0][0].as<int>();
}

void save_failure(pqxx::work& work, const std::string& id, const std::string& why, Time next) {
  work.exec_params0(
      "UPDATE certificates SET error = $2, failures = failures + 1, next_try = "
      "to_timestamp($3::bigint / 1000.0), order_until = NULL WHERE id = $1",
      id, storable(why), ms(next));
}

void forget_orders_under_way(pqxx::work& work) {
  work.exec0("UPDATE certificates SET order_until = NULL WHERE order_until IS NOT NULL");
}

void drop(pqxx::work& work, const std::string& id) {
  work.exec_params0("UPDATE certificates SET removed = true, version = 0 WHERE id = $1", id);
}

void forget_old(pqxx::work& work) {
  work.exec0("DELETE FROM acme_orders WHERE ordered_at < now() - interval '1 day'");
  work.exec0("DELETE FROM certificate_proxies WHERE last_seen < now() - interval '15 minutes'");
}

void tell_owners(pqxx::work& work, const std::string& name, const std::string& text, Time now) {
  for (const auto& row :
       work.exec_params("SELECT DISTINCT v.app_id FROM vhosts v JOIN apps a ON a.id = v.app_id "
                        "WHERE v.host = $1 AND a.deleted_at IS NULL",
                        name)) {
    const auto app = row[0].as<std::string>();
    wire::LogBatch batch;
    batch.app_id = app;
    batch.service = "karreg";
    const auto ns =
        std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
    batch.lines = {{ns, "karreg", storable(text)}};
    db::outbox_add_to_stream(work, broker::log_stream(app), wire::to_text(batch));
  }
}

std::optional<std::string> account_key(pqxx::work& work, const std::string& directory) {
  const auto rows =
      work.exec_params("SELECT sealed_key FROM acme_accounts WHERE directory = $1", directory);
  if (rows.empty()) return std::nullopt;
  return rows[0][0].as<std::string>();
}

std::string keep_account_key(pqxx::work& work, const std::string& directory,
                             const std::string& sealed) {
  return work
      .exec_params1(
          "INSERT INTO acme_accounts (directory, sealed_key) VALUES ($1, $2) ON CONFLICT "
          "(directory) DO UPDATE SET sealed_key = acme_accounts.sealed_key RETURNING sealed_key",
          directory, sealed)[0]
      .as<std::string>();
}

std::optional<LocalAuthority> local_authority(pqxx::work& work, const std::string& domains) {
  const auto rows =
      work.exec_params("SELECT root, sealed_key FROM local_authority WHERE domains = $1", domains);
  if (rows.empty()) return std::nullopt;
  return LocalAuthority{rows[0][0].as<std::string>(), rows[0][1].as<std::string>()};
}

void keep_local_authority(pqxx::work& work, const std::string& domains,
                          const LocalAuthority& sealed) {
  work.exec_params0(
      "INSERT INTO local_authority (domains, root, sealed_key) VALUES ($1, $2, $3) ON CONFLICT "
      "(only_row) DO UPDATE SET domains = $1, root = $2, sealed_key = $3",
      domains, sealed.root, sealed.key);
  work.exec0("UPDATE certificates SET removed = true, version = 0 WHERE origin = 'local'");
}

}  // namespace karreg::scheduler::certificates
