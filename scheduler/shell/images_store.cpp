// What is known of run images, whom it was told, and rolls.
#include "common/broker/topology.hpp"
#include "common/db/outbox.hpp"
#include "common/json.hpp"
#include "common/wire/json.hpp"
#include "common/wire/news.hpp"
#include "scheduler/shell/names.hpp"
#include "scheduler/shell/stores.hpp"

namespace karreg::scheduler {

namespace {

using Manifest = std::function<std::optional<std::string>(const std::string&)>;

std::optional<std::string> packages_of(const Manifest& manifest, const std::string& digest) {
  const auto text = manifest(digest);
  if (!text) return std::nullopt;
  return nlohmann::json(parse_manifest(*text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// What the catalogue named when it was last looked at: runtime -> digest.
std::map<std::string, std::string> current_images(pqxx::work& work) {
  std::map<std::string, std::string> current;
  for (const auto& row : work.exec("SELECT runtime, digest FROM images WHERE current"))
    current[row[0].as<std::string>()] = row[1].as<std::string>();
  return current;
}

void remember_current(pqxx::work& work, const std::string& name, const wire::Runtime& runtime,
                      const Manifest& manifest) {
  work.exec_params0(
      "INSERT INTO images (runtime, digest, version, versions, packages, current) VALUES ($1, $2, "
      "$3, $4::jsonb, $5::jsonb, true) ON CONFLICT (runtime, digest) DO UPDATE SET current = true, "
      "version = $3, versions = $4::jsonb, packages = coalesce($5::jsonb, images.packages)",
      name, runtime.run.digest, runtime.run.version, wire::to_text(runtime.versions),
      packages_of(manifest, runtime.run.digest));
}

}  // namespace

void remember_images(pqxx::work& work, const wire::Catalogue& catalogue, const Manifest& manifest) {
  const auto before = current_images(work);
  for (const auto& [name, digest] : before) {
    const auto runtime = catalogue.runtimes.find(name);
    if (runtime == catalogue.runtimes.end() || runtime->second.run.digest != digest)
      work.exec_params0("UPDATE images SET current = false WHERE runtime = $1 AND digest = $2",
                        name, digest);
  }
  for (const auto& [name, runtime] : catalogue.runtimes) {
    const auto known = before.find(name);
    if (!runtime.run.digest.empty() &&
        (known == before.end() || known->second != runtime.run.digest))
      remember_current(work, name, runtime, manifest);
  }
  // What apps have run on since before images were noted.
  for (const auto& row : work.exec(
           "SELECT DISTINCT d.runtime, d.run_image FROM apps a JOIN deployments d ON d.uuid = "
           "a.serving_deployment WHERE d.runtime IS NOT NULL AND d.run_image IS NOT NULL AND NOT "
           "EXISTS (SELECT FROM images i WHERE i.runtime = d.runtime AND i.digest = d.run_image)"))
    work.exec_params0(
        "INSERT INTO images (runtime, digest, packages, current) VALUES ($1, $2, $3::jsonb, false)",
        row[0].as<std::string>(), row[1].as<std::string>(),
        packages_of(manifest, row[1].as<std::string>()));
}

void load_images(pqxx::work& work, World& world) {
  for (const auto& row :
       work.exec("SELECT runtime, digest, version, versions, current FROM images")) {
    Image& image = world.images[{row[0].as<std::string>(), row[1].as<std::string>()}];
    image.facts.version = row[2].as<std::string>();
    if (!row[3].is_null())
      image.facts.versions =
          nlohmann::json::parse(row[3].as<std::string>()).get<std::map<std::string, std::string>>();
    image.current = row[4].as<bool>();
  }
  for (const auto& row :
       work.exec("SELECT n.app_id, n.runtime, n.image FROM image_news n JOIN images i ON i.runtime "
                 "= n.runtime AND i.digest = n.image WHERE i.current")) {
    const auto app = row[0].as<std::string>();
    if (world.apps.contains(app))
      world.image_news.insert({app, {row[1].as<std::string>(), row[2].as<std::string>()}});
  }
}

void load_rolls(pqxx::work& work, World& world) {
  for (const auto& row :
       work.exec("SELECT id, author, cancel_requested FROM rolls WHERE state = 'running'")) {
    Roll& roll = world.rolls[row[0].as<std::string>()];
    roll.id = row[0].as<std::string>();
    roll.author = row[1].as<std::string>();
    roll.cancel_requested = row[2].as<bool>();
  }
  for (const auto& row :
       work.exec("SELECT e.roll_id, e.app_id, e.wave, e.step, coalesce(e.deployment, ''), "
                 "e.message FROM roll_apps e JOIN rolls r ON r.id = e.roll_id WHERE r.state = "
                 "'running' ORDER BY e.roll_id, e.wave, e.position"))
    world.rolls.at(row[0].as<std::string>())
        .apps.push_back({row[1].as<std::string>(), row[2].as<int>(),
                         value_of<RollStep>(row[3].as<std::string>()), row[4].as<std::string>(),
                         row[5].as<std::string>()});
}

void save_image_news(pqxx::work& work, const World& before, const World& after, Time now) {
  for (const auto& news : after.image_news) {
    if (before.image_news.contains(news)) continue;
    const std::string old_image =
        after.deployments.at(after.apps.at(news.app_id).serving_deployment).image;
    const auto first = work.exec_params(
        "INSERT INTO image_news (app_id, runtime, image, old_image, told_at) VALUES ($1, $2, $3, "
        "$4, to_timestamp($5::bigint / 1000.0)) ON CONFLICT DO NOTHING RETURNING 1",
        news.app_id, news.image.runtime, news.image.digest, old_image, to_ms(now));
    if (first.empty()) continue;
    wire::PlatformEvent event;
    event.event = "IMAGE_OUTDATED";
    event.time_ms = to_ms(now);
    event.app_id = news.app_id;
    event.runtime = news.image.runtime;
    event.image = news.image.digest;
    event.old_image = old_image;
    db::outbox_add(work, broker::key::api_event, wire::to_text(event));
  }
}

void save_rolls(pqxx::work& work, const World& before, const World& after) {
  for (const auto& [id, roll] : after.rolls) {
    const auto& old = before.rolls.at(id);
    if (old == roll) continue;
    work.exec_params0(
        "UPDATE rolls SET state = $2, message = $3, ended_at = to_timestamp($4::bigint / 1000.0) "
        "WHERE id = $1",
        id, name_of(roll.state), roll.message,
        roll.ended_at ? std::optional(std::to_string(to_ms(*roll.ended_at))) : std::nullopt);
    for (std::size_t i = 0; i < roll.apps.size(); ++i) {
      const RollApp& app = roll.apps[i];
      if (app == old.apps.at(i)) continue;
      work.exec_params0(
          "UPDATE roll_apps SET step = $3, deployment = nullif($4, ''), message = $5 WHERE roll_id "
          "= $1 AND app_id = $2",
          id, app.app_id, name_of(app.step), app.deployment, app.message);
    }
  }
}

void forget_old_images(pqxx::work& work) {
  work.exec0(
      "DELETE FROM images i WHERE NOT current AND NOT EXISTS (SELECT FROM deployments d WHERE "
      "d.runtime = i.runtime AND d.run_image = i.digest AND (d.state = 'WIP' OR d.uuid IN (SELECT "
      "serving_deployment FROM apps))) AND NOT EXISTS (SELECT FROM builds b WHERE b.run_image = "
      "i.digest AND b.state NOT IN ('succeeded', 'failed'))");
  work.exec0(
      "DELETE FROM image_news n WHERE NOT EXISTS (SELECT FROM images i WHERE i.runtime = n.runtime "
      "AND i.digest = n.image)");
}

void forget_old_rolls(pqxx::work& work) {
  work.exec0("DELETE FROM rolls WHERE ended_at < now() - interval '30 days'");
}

}  // namespace karreg::scheduler
