// What proxies tell of traffic: the last request of each application, how much of the past is known
// without a gap, and the figures of instances. All of it only grows, so that reports may come
// twice, late, or on two schedulers at once.
#include <fmt/format.h>

#include "common/db/arrays.hpp"
#include "scheduler/shell/stores.hpp"

namespace karreg::scheduler {

namespace {

/// What a proxy may say is bounded by what could be asked in it.
constexpr std::int64_t longest_ms = 40LL * 86'400 * 1000;

bool save_apps(pqxx::work& work, const wire::TrafficReport& report) {
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
      "SELECT a.id, max(now() - t.idle_ms * interval '1 millisecond'), sum(t.in_hand) "
      "FROM unnest($1::text[], $2::bigint[], $3::int[]) t (app_id, idle_ms, in_hand) "
      "JOIN apps a ON a.id = t.app_id GROUP BY a.id ORDER BY a.id "
      "ON CONFLICT (app_id) DO UPDATE SET in_hand = excluded.in_hand, "
      "last_request = greatest(app_traffic.last_request, excluded.last_request)",
      db::array_of(ids), db::array_of(idle), db::array_of(in_hand));
  return held;
}

void save_instances(pqxx::work& work, const wire::TrafficReport& report) {
  for (const auto& instance : report.instances) {
    std::vector<std::string> times;
    times.reserve(instance.times.size());
    for (const auto n : instance.times) times.push_back(std::to_string(n));
    work.exec_params0(
        "INSERT INTO instance_traffic (instance_id, proxy_id, at, process, requests, failures, "
        "times_us, times, in_hand) SELECT $1, $2, now(), $3, $4, $5, $6, $7::bigint[], $8 "
        "WHERE EXISTS (SELECT 1 FROM instances WHERE id = $1) ON CONFLICT DO NOTHING",
        instance.instance_id, report.proxy_id, report.process, instance.requests, instance.failures,
        instance.times_us, db::array_of(times), instance.in_hand);
    // Of those that no minute looks at any more the newest is what the next ones are compared with.
    work.exec_params0(
        "DELETE FROM instance_traffic o WHERE instance_id = $1 AND proxy_id = $2 AND at < now() - "
        "interval '2 minutes' AND EXISTS (SELECT 1 FROM instance_traffic n WHERE n.instance_id = "
        "$1 AND n.proxy_id = $2 AND n.at > o.at AND n.at < now() - interval '2 minutes')",
        instance.instance_id, report.proxy_id);
  }
}

/// When the last part of a report is there, what it covers is known.
void save_coverage(pqxx::work& work, const wire::TrafficReport& report) {
  const bool in_range = report.parts > 0 && report.parts <= wire::TrafficReport::most_parts &&
                        report.part >= 0 && report.part < report.parts;
  if (!in_range) return;
  const auto all = (std::int64_t{1} << report.parts) - 1;
  const auto covers = std::clamp<std::int64_t>(report.covers_ms, 0, longest_ms);
  const auto row = work.exec_params1(
      "INSERT INTO proxy_traffic AS t (proxy_id, process, number, at_ms, parts_seen) "
      "VALUES ($1, $2, $3, -1, $4) ON CONFLICT (proxy_id) DO UPDATE SET "
      "parts_seen = CASE WHEN t.process = $2 AND t.number = $3 THEN t.parts_seen | $4 "
      "WHEN t.process = $2 AND t.number > $3 THEN t.parts_seen ELSE $4 END, "
      "number = CASE WHEN t.process = $2 THEN greatest(t.number, $3) ELSE $3 END, "
      // Of another process nothing is known by its clock.
      "at_ms = CASE WHEN t.process = $2 THEN t.at_ms ELSE -1 END, process = $2 "
      "RETURNING t.number, t.parts_seen, t.at_ms",
      report.proxy_id, report.process, report.number, std::int64_t{1} << report.part);
  const bool complete =
      row[0].as<std::uint64_t>() == report.number && row[1].as<std::int64_t>() == all;
  if (!complete || covers == 0) return;
  // Without a gap by the clock of its process, whenever it came; or, of another process, by ours.
  const auto known_ms = row[2].as<std::int64_t>();
  const bool goes_on = known_ms >= 0 && report.at_ms - covers <= known_ms;
  work.exec_params0(
      "UPDATE proxy_traffic SET at_ms = $2, covered_until = now(), covered_since = CASE WHEN "
      "covered_since IS NOT NULL AND ($4 OR ($5 AND now() - $3 * interval '1 millisecond' <= "
      "covered_until)) THEN covered_since ELSE now() - $3 * interval '1 millisecond' END "
      "WHERE proxy_id = $1",
      report.proxy_id, report.at_ms, covers, goes_on, known_ms < 0);
}

}  // namespace

bool save_traffic_report(pqxx::work& work, const wire::TrafficReport& report) {
  const bool held = save_apps(work, report);
  save_instances(work, report);
  // Last: what it covers is known only with what it says.
  save_coverage(work, report);
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
