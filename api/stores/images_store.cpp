#include "api/stores/images_store.hpp"

#include <algorithm>

#include "common/broker/topology.hpp"
#include "common/db/outbox.hpp"
#include "common/ids.hpp"
#include "common/images.hpp"
#include "common/json.hpp"
#include "common/wire/json.hpp"
#include "common/wire/news.hpp"

namespace karreg::api {

namespace {

using Versions = std::map<std::string, std::string>;

std::optional<Versions> versions_of(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return nlohmann::json::parse(field.as<std::string>()).get<Versions>();
}

/// What differs between two sets of packages, one of which may not be known.
void compare(const pqxx::field& before, const pqxx::field& after, OutdatedApp& app) {
  const auto from = versions_of(before);
  const auto to = versions_of(after);
  if (from && to)
    app.packages = package_changes(*from, *to);
  else
    app.packages_unknown = "the manifest of the image " +
                           (from ? app.new_image : app.image).substr(0, 12) +
                           " was not in the image store when the platform looked";
}

Roll roll_of(const pqxx::row& row) {
  Roll roll;
  roll.id = row[0].as<std::string>();
  roll.org_id = row[1].as<std::string>();
  roll.author = row[2].as<std::string>();
  roll.wave_size = row[3].as<int>();
  roll.state = row[4].as<std::string>();
  roll.cancel_requested = row[5].as<bool>();
  roll.message = row[6].as<std::string>();
  roll.requested_ms = row[7].as<std::int64_t>();
  if (!row[8].is_null()) roll.ended_ms = row[8].as<std::int64_t>();
  return roll;
}

constexpr const char* roll_columns =
    "SELECT id, org_id, author, wave_size, state, cancel_requested, message, (extract(epoch FROM "
    "requested_at) * 1000)::bigint, (extract(epoch FROM ended_at) * 1000)::bigint FROM rolls ";

void add_apps(pqxx::work& work, Roll& roll) {
  for (const auto& row :
       work.exec_params("SELECT app_id, name, wave, step, coalesce(deployment, ''), message FROM "
                        "roll_apps WHERE roll_id = $1 ORDER BY position",
                        roll.id))
    roll.apps.push_back({row[0].as<std::string>(), row[1].as<std::string>(), row[2].as<int>() + 1,
                         row[3].as<std::string>(), row[4].as<std::string>(),
                         row[5].as<std::string>()});
}

struct Named {
  std::string id;
  std::string name;
};

/// The apps of @p request, by name, each once.
Result<std::vector<Named>> apps_of(pqxx::work& work, const RollRequest& request) {
  std::vector<Named> apps;
  if (request.apps.empty()) {
    for (const auto& app : outdated_apps(work, request.org_id)) apps.push_back({app.id, app.name});
    if (apps.empty())
      return Error(ErrorKind::conflict,
                   "no application runs on an older image: there is nothing to roll");
    return apps;
  }
  for (const auto& id : request.apps) {
    const auto found = work.exec_params(
        "SELECT name FROM apps WHERE id = $1 AND org_id = $2 AND deleted_at IS NULL", id,
        request.org_id);
    if (found.empty())
      return Error(ErrorKind::not_found,
                   "there is no application " + id + " of this owner that you can see");
    apps.push_back({id, found[0][0].as<std::string>()});
  }
  const auto order = [](const Named& app) { return std::pair(app.name, app.id); };
  std::ranges::sort(apps, {}, order);
  const auto twice = std::ranges::unique(apps, {}, order);
  apps.erase(twice.begin(), twice.end());
  return apps;
}

void wake_scheduler(pqxx::work& work, const std::string& reason) {
  db::outbox_add(work, broker::key::scheduler_wake, wire::to_text(wire::Wake{reason, ""}));
}

}  // namespace

std::vector<OutdatedApp> outdated_apps(pqxx::work& work, const std::string& org_id) {
  std::vector<OutdatedApp> all;
  for (const auto& row : work.exec_params(
           "SELECT a.id, a.name, a.org_id, d.runtime, d.run_image, i.digest, coalesce(o.version, "
           "''), o.versions, o.packages, i.version, i.versions, i.packages, d.artifact_digest IS "
           "NOT NULL, (extract(epoch FROM n.told_at) * 1000)::bigint "
           "FROM apps a JOIN deployments d ON d.uuid = a.serving_deployment "
           "JOIN images i ON i.runtime = d.runtime AND i.current AND i.digest <> d.run_image "
           "LEFT JOIN images o ON o.runtime = d.runtime AND o.digest = d.run_image "
           "LEFT JOIN image_news n ON n.app_id = a.id AND n.runtime = i.runtime AND n.image = "
           "i.digest WHERE a.org_id = $1 AND a.deleted_at IS NULL ORDER BY a.name, a.id",
           org_id)) {
    OutdatedApp& app = all.emplace_back();
    app.id = row[0].as<std::string>();
    app.name = row[1].as<std::string>();
    app.org_id = row[2].as<std::string>();
    app.runtime = row[3].as<std::string>();
    app.image = row[4].as<std::string>();
    app.new_image = row[5].as<std::string>();
    compare(row[8], row[11], app);
    app.rebuild = reason_to_rebuild({row[6].as<std::string>(), versions_of(row[7])},
                                    {row[9].as<std::string>(), versions_of(row[10])});
    if (app.rebuild.empty() && !row[12].as<bool>())
      app.rebuild = "what was built is not kept any more";
    if (!row[13].is_null()) app.told_ms = row[13].as<std::int64_t>();
  }
  return all;
}

std::vector<ImageNews> image_news_since(pqxx::work& work, std::int64_t since_ms) {
  std::vector<ImageNews> all;
  for (const auto& row : work.exec_params(
           "SELECT app_id, runtime, image, old_image, (extract(epoch FROM told_at) * 1000)::bigint "
           "FROM image_news WHERE told_at > to_timestamp($1::bigint / 1000.0) ORDER BY told_at "
           "DESC LIMIT 1000",
           since_ms))
    all.push_back({row[0].as<std::string>(), row[1].as<std::string>(), row[2].as<std::string>(),
                   row[3].as<std::string>(), row[4].as<std::int64_t>()});
  std::ranges::reverse(all);
  return all;
}

Result<Roll> request_roll(pqxx::work& work, const RollRequest& request) {
  // One at a time of an organisation; the index of the table would say it less kindly.
  work.exec_params("SELECT 1 FROM organisations WHERE id = $1 FOR UPDATE", request.org_id);
  const auto running = work.exec_params(
      "SELECT id FROM rolls WHERE org_id = $1 AND state = 'running'", request.org_id);
  if (!running.empty())
    return Error(ErrorKind::conflict, "the roll " + running[0][0].as<std::string>() +
                                          " is under way: wait for its end, or cancel it");
  auto apps = apps_of(work, request);
  if (!apps) return apps.error();
  const std::string id = ids::make("roll_");
  work.exec_params0("INSERT INTO rolls (id, org_id, author, wave_size) VALUES ($1, $2, $3, $4)", id,
                    request.org_id, request.author, request.wave_size);
  for (std::size_t i = 0; i < apps->size(); ++i) {
    const int place = static_cast<int>(i);
    work.exec_params0(
        "INSERT INTO roll_apps (roll_id, app_id, name, wave, position) VALUES ($1, $2, $3, $4, $5)",
        id, (*apps)[i].id, (*apps)[i].name, place / request.wave_size, place);
  }
  wake_scheduler(work, "roll");
  return get_roll(work, request.org_id, id);
}

std::vector<Roll> list_rolls(pqxx::work& work, const std::string& org_id) {
  std::vector<Roll> all;
  for (const auto& row : work.exec_params(
           std::string(roll_columns) + "WHERE org_id = $1 ORDER BY requested_at DESC, id", org_id))
    all.push_back(roll_of(row));
  for (auto& roll : all) add_apps(work, roll);
  return all;
}

Result<Roll> get_roll(pqxx::work& work, const std::string& org_id, const std::string& id) {
  const auto rows =
      work.exec_params(std::string(roll_columns) + "WHERE org_id = $1 AND id = $2", org_id, id);
  if (rows.empty())
    return Error(
        ErrorKind::not_found,
        "there is no roll " + id + "; those that ended more than 30 days ago are forgotten");
  Roll roll = roll_of(rows[0]);
  add_apps(work, roll);
  return roll;
}

Result<void> cancel_roll(pqxx::work& work, const Roll& roll) {
  const auto open = work.exec_params(
      "UPDATE rolls SET cancel_requested = true WHERE id = $1 AND state = 'running' RETURNING 1",
      roll.id);
  if (open.empty()) return Error(ErrorKind::conflict, "the roll is over: " + roll.state);
  wake_scheduler(work, "cancel roll");
  return ok();
}

}  // namespace karreg::api
