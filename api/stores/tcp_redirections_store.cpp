#include "api/stores/tcp_redirections_store.hpp"

#include <fmt/format.h>

#include "common/broker/topology.hpp"
#include "common/db/outbox.hpp"
#include "common/wire/json.hpp"
#include "common/wire/news.hpp"

namespace karreg::api {

namespace {

void wake_scheduler(pqxx::work& work, const std::string& reason, const std::string& app_id) {
  db::outbox_add(work, broker::key::scheduler_wake, wire::to_text(wire::Wake{reason, app_id}));
}

/// "25 minutes", "3 hours".
std::string in_words(std::int64_t seconds) {
  if (seconds < 120) return fmt::format("{} seconds", seconds);
  if (seconds < 2 * 3600) return fmt::format("{} minutes", (seconds + 59) / 60);
  return fmt::format("{} hours", (seconds + 3599) / 3600);
}

Error all_taken(pqxx::work& work, const TcpPolicy& policy) {
  const auto soonest = work.exec_params1(
      "SELECT ceil(extract(epoch FROM min(released_at) - now()) + $1 / 1000.0)::bigint FROM "
      "tcp_redirections WHERE released_at IS NOT NULL AND port BETWEEN $2 AND $3",
      policy.quarantine.count(), policy.ports.first, policy.ports.last);
  auto text = fmt::format("all {} ports of TCP redirections are taken", policy.ports.size());
  text += soonest[0].is_null() ? "; whoever runs the platform can add some (setting tcp.ports)"
                               : fmt::format("; one that was given back is free again in {}",
                                             in_words(soonest[0].as<std::int64_t>()));
  return {ErrorKind::conflict, text};
}

}  // namespace

std::vector<std::uint16_t> list_tcp_redirections(pqxx::work& work, const std::string& app_id) {
  std::vector<std::uint16_t> ports;
  for (const auto& row : work.exec_params("SELECT port FROM tcp_redirections WHERE app_id = $1 AND "
                                          "released_at IS NULL ORDER BY port",
                                          app_id))
    ports.push_back(row[0].as<std::uint16_t>());
  return ports;
}

Result<std::uint16_t> add_tcp_redirection(pqxx::work& work, const App& app,
                                          const TcpPolicy& policy) {
  if (policy.ports.empty())
    return Error(ErrorKind::conflict, "this platform has no TCP redirections (setting tcp.ports)");
  // An app that is being deleted gives back what it has; nothing may come after that.
  if (work.exec_params("SELECT 1 FROM apps WHERE id = $1 AND deleted_at IS NULL FOR SHARE", app.id)
          .empty())
    return Error(ErrorKind::not_found, "the application is being deleted");
  // One at a time; readers are not kept waiting.
  work.exec0("LOCK TABLE tcp_redirections IN SHARE ROW EXCLUSIVE MODE");
  const auto has = list_tcp_redirections(work, app.id).size();
  if (has >= static_cast<std::size_t>(policy.per_app))
    return Error(ErrorKind::conflict,
                 fmt::format("the application has {} TCP redirections, which is as many as one may "
                             "have: remove one first",
                             has));
  const auto given = work.exec_params(
      "INSERT INTO tcp_redirections (port, app_id) "
      "SELECT p, $1 FROM generate_series($2::int, $3::int) p "
      "LEFT JOIN tcp_redirections r ON r.port = p "
      "WHERE r.port IS NULL OR (r.released_at IS NOT NULL AND (r.app_id = $1 OR r.released_at < "
      "now() - $4 * interval '1 millisecond')) "
      "ORDER BY (r.app_id = $1) IS TRUE DESC, CASE WHEN r.app_id = $1 THEN r.released_at END DESC "
      "NULLS LAST, r.released_at NULLS FIRST, p LIMIT 1 "
      "ON CONFLICT (port) DO UPDATE SET app_id = $1, created_at = now(), released_at = NULL "
      "RETURNING port",
      app.id, policy.ports.first, policy.ports.last, policy.quarantine.count());
  if (given.empty()) return all_taken(work, policy);
  wake_scheduler(work, "TCP redirection added", app.id);
  return given[0][0].as<std::uint16_t>();
}

Result<void> remove_tcp_redirection(pqxx::work& work, const App& app, std::uint16_t port) {
  const auto removed = work.exec_params(
      "UPDATE tcp_redirections SET released_at = now() WHERE port = $1 AND app_id = $2 AND "
      "released_at IS NULL RETURNING 1",
      port, app.id);
  if (removed.empty())
    return Error(ErrorKind::not_found,
                 fmt::format("the application has no TCP redirection of port {}", port));
  wake_scheduler(work, "TCP redirection removed", app.id);
  return ok();
}

}  // namespace karreg::api
