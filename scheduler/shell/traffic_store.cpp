// What proxies tell of traffic: the last request of each application, how much of the past is known
// without a gap, and the figures of instances. All of it only grows, so that reports may come
// twice, late, or on two schedulers at once.
#include <fmt/format.h>

#include "common/db/arrays.hpp"
#include "common/wire/json.hpp"
#include "scheduler/shell/stores.hpp"

namespace karreg::scheduler {

namespace {

/// What a proxy may say is bounded by what could be asked in it.
constexpr std::int64_t longest_ms = 40LL * 86'400 * 1000;

/// The moment that @p report is of, in ms of the database's clock: not that at which it came, which
/// may be long after, when a broker was away. By the clock of the process, whose beginning is the
/// earliest that a report tells; each second that passes may correct it by a millisecond, so that a
/// clock that goes slower than ours is no delay that grows.
std::int64_t moment_of(pqxx::work& work, const wire::TrafficReport& report) {
  const auto at = std::max<std::int64_t>(report.at_ms, 0);
  constexpr const char* moment =
      "(extract(epoch FROM least(now(), t.began + $3 * interval '1 millisecond')) * 1000)::bigint";
  if (report.parts == 0) {
    const auto known = work.exec_params(
        fmt::format("SELECT {} FROM proxy_traffic t WHERE proxy_id = $1 AND process = $2", moment),
        report.proxy_id, report.process, at);
    return known.empty() ? database_time(work).time_since_epoch().count()
                         : known[0][0].as<std::int64_t>();
  }
  return work
      .exec_params1(
          fmt::format(
              "INSERT INTO proxy_traffic AS t (proxy_id, process, began, told_ms, number, at_ms, "
              "parts_seen) VALUES ($1, $2, now() - $3 * interval '1 millisecond', $3, -1, -1, 0) "
              "ON CONFLICT (proxy_id) DO UPDATE SET process = excluded.process, "
              "began = CASE WHEN t.process = $2 THEN least(t.began + greatest($3 - t.told_ms, 0) * "
              "interval '1 microsecond', excluded.began) ELSE excluded.began END, "
              "told_ms = CASE WHEN t.process = $2 THEN greatest(t.told_ms, $3) ELSE $3 END, "
              // Of another process nothing is known by its clock.
              "number = CASE WHEN t.process = $2 THEN t.number ELSE -1 END, "
              "at_ms = CASE WHEN t.process = $2 THEN t.at_ms ELSE -1 END, "
              "parts_seen = CASE WHEN t.process = $2 THEN t.parts_seen ELSE 0 END RETURNING {}",
              moment),
          report.proxy_id, report.process, at)[0]
      .as<std::int64_t>();
}

bool save_apps(pqxx::work& work, const wire::TrafficReport& report, std::int64_t moment) {
  std::vector<std::string> ids;
  std::vector<std::string> idle;
  std::vector<std::string> in_hand;
  bool held = false;
  for (const auto& app : report.apps) {
    held = held || app.held > 0;
    ids.push_back(app.app_id);
    idle.push_back(std::to_string(std::clamp<std::int64_t>(app.idle_ms, 0, longest_ms)));
    in_hand.push_back(std::to_string(std::max(app.in_hand, 0)));
  }
  // A proxy may know applications that are not there, by a table that its operator gave it. In one
  // order, so that two schedulers do not wait for each other.
  work.exec_params0(
      "INSERT INTO app_traffic (app_id, last_request, in_hand) "
      "SELECT a.id, max(to_timestamp(($4::bigint - t.idle_ms) / 1000.0)), sum(t.in_hand) "
      "FROM unnest($1::text[], $2::bigint[], $3::int[]) t (app_id, idle_ms, in_hand) "
      "JOIN apps a ON a.id = t.app_id GROUP BY a.id ORDER BY a.id "
      "ON CONFLICT (app_id) DO UPDATE SET in_hand = excluded.in_hand, "
      "last_request = greatest(app_traffic.last_request, excluded.last_request)",
      db::array_of(ids), db::array_of(idle), db::array_of(in_hand), moment);
  return held;
}

void save_instances(pqxx::work& work, const wire::TrafficReport& report) {
  if (report.instances.empty()) return;
  std::vector<std::string> ids;
  for (const auto& instance : report.instances) ids.push_back(instance.instance_id);
  work.exec_params0(
      "INSERT INTO instance_traffic (instance_id, proxy_id, at, process, requests, failures, "
      "times_us, times, in_hand) SELECT r.instance_id, $2, now(), $3, r.requests, r.failures, "
      "r.times_us, r.times, r.in_hand FROM jsonb_to_recordset($1::jsonb) r (instance_id text, "
      "requests bigint, failures bigint, times_us bigint, times bigint[], in_hand int) "
      "WHERE EXISTS (SELECT 1 FROM instances i WHERE i.id = r.instance_id) ORDER BY r.instance_id "
      "ON CONFLICT DO NOTHING",
      wire::to_text(report.instances), report.proxy_id, report.process);
  // Of those that no minute looks at any more the newest is what the next ones are compared with.
  work.exec_params0(
      "DELETE FROM instance_traffic o WHERE instance_id = ANY ($1::text[]) AND proxy_id = $2 AND "
      "at < now() - interval '2 minutes' AND EXISTS (SELECT 1 FROM instance_traffic n WHERE "
      "n.instance_id = o.instance_id AND n.proxy_id = $2 AND n.at > o.at AND n.at < now() - "
      "interval '2 minutes')",
      db::array_of(ids), report.proxy_id);
}

/// When the last part of a report is there, what it covers before @p moment is known.
void save_coverage(pqxx::work& work, const wire::TrafficReport& report, std::int64_t moment) {
  const bool in_range = report.parts > 0 && report.parts <= wire::TrafficReport::most_parts &&
                        report.part >= 0 && report.part < report.parts;
  if (!in_range) return;
  const auto all = (std::int64_t{1} << report.parts) - 1;
  const auto covers = std::clamp<std::int64_t>(report.covers_ms, 0, longest_ms);
  const auto row = work.exec_params1(
      "UPDATE proxy_traffic SET parts_seen = CASE WHEN number = $2 THEN parts_seen | $3 WHEN "
      "number > $2 THEN parts_seen ELSE $3 END, number = greatest(number, $2) WHERE proxy_id = $1 "
      "RETURNING number, parts_seen, at_ms",
      report.proxy_id, report.number, std::int64_t{1} << report.part);
  const bool complete = row[0].as<std::int64_t>() == static_cast<std::int64_t>(report.number) &&
                        row[1].as<std::int64_t>() == all;
  if (!complete || covers == 0) return;
  // Without a gap by the clock of its process; or, of another process, by ours.
  const auto known_ms = row[2].as<std::int64_t>();
  const bool goes_on = known_ms >= 0 && report.at_ms - covers <= known_ms;
  work.exec_params0(
      "UPDATE proxy_traffic SET at_ms = $2, covered_until = to_timestamp($6::bigint / 1000.0), "
      "covered_since = CASE WHEN covered_since IS NOT NULL AND ($4 OR ($5 AND "
      "to_timestamp(($6::bigint - $3) / 1000.0) <= covered_until)) THEN covered_since ELSE "
      "to_timestamp(($6::bigint - $3) / 1000.0) END WHERE proxy_id = $1",
      report.proxy_id, report.at_ms, covers, goes_on, known_ms < 0, moment);
}

}  // namespace

bool save_traffic_report(pqxx::work& work, const wire::TrafficReport& report) {
  const auto moment = moment_of(work, report);
  const bool held = save_apps(work, report, moment);
  save_instances(work, report);
  // Last: what it covers is known only with what it says.
  save_coverage(work, report, moment);
  return held;
}

void forget_old_traffic(pqxx::work& work) {
  work.exec0(
      "DELETE FROM instance_traffic t WHERE at < now() - interval '2 minutes' AND (NOT EXISTS "
      "(SELECT 1 FROM instances i WHERE i.id = t.instance_id AND i.ended_at IS NULL) OR at < now() "
      "- interval '1 day')");
  work.exec0(
      "DELETE FROM proxy_traffic WHERE covered_until < now() - interval '1 day' OR (covered_until "
      "IS NULL AND proxy_id NOT IN (SELECT id FROM proxies))");
}

}  // namespace karreg::scheduler
