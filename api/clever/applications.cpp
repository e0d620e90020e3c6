#include "api/clever/objects.hpp"
#include "api/clever/resources.hpp"
#include "api/git/repositories.hpp"
#include "api/stores/apps_store.hpp"
#include "api/stores/users_store.hpp"
#include "common/ids.hpp"
#include "common/wire/app_types.hpp"

namespace karreg::api::clever {

using nlohmann::json;

namespace {

/// Of an application that nobody asked for so long, its owner may think what he likes.
constexpr std::int64_t longest_sleep_s = 30LL * 86'400;

Result<Answer> list(const Call& call, pqxx::work& work) {
  auto org = resolve_owner(work, call.identity, owner_in(call));
  if (!org) return org.error();
  json all = json::array();
  for (const auto& app : list_apps(work, *org))
    all.push_back(app_json(app, call.services.settings));
  return Answer{200, all, {}};
}

Result<Answer> get(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  return Answer{200, app_json(*app, call.services.settings), {}};
}

Result<void> take_text(const json& body, const char* name, std::string& into) {
  auto value = field<std::string>(body, name, into);
  if (!value) return value.error();
  into = *value;
  return ok();
}

Result<void> take_flag(const json& body, const char* name, bool& into) {
  auto value = field<bool>(body, name, into);
  if (!value) return value.error();
  into = *value;
  return ok();
}

Result<void> take_count(const json& body, const char* name, int& into) {
  auto value = field<std::int64_t>(body, name, into);
  if (!value) return value.error();
  if (*value < 1 || *value > 40)
    return Error(ErrorKind::invalid, std::string("the field \"") + name +
                                         "\" must be a number of instances from 1 to 40");
  into = static_cast<int>(*value);
  return ok();
}

/// A size: its name, or (as some clients send back what they got) an object with it.
Result<void> take_flavor(const json& body, const char* name, std::string& into) {
  const auto it = body.find(name);
  if (it == body.end() || it->is_null()) return ok();
  const json& value = it->is_object() && it->contains("name") ? (*it)["name"] : *it;
  if (!value.is_string())
    return Error(ErrorKind::invalid, std::string("the field \"") + name + "\" must name a size");
  into = value.get<std::string>();
  return check_flavor(into);
}

/// The numbers that say how large and how many; checks that they agree.
Result<void> take_scale(const json& body, App& app) {
  for (auto [name, into] :
       {std::pair{"minInstances", &app.min_instances}, {"maxInstances", &app.max_instances}}) {
    auto taken = take_count(body, name, *into);
    if (!taken) return taken;
  }
  for (auto [name, into] :
       {std::pair{"minFlavor", &app.min_flavor}, {"maxFlavor", &app.max_flavor}}) {
    auto taken = take_flavor(body, name, *into);
    if (!taken) return taken;
  }
  if (app.max_instances < app.min_instances)
    return Error(ErrorKind::invalid, "maxInstances (" + std::to_string(app.max_instances) +
                                         ") is below minInstances (" +
                                         std::to_string(app.min_instances) + ")");
  if (is_smaller_flavor(app.max_flavor, app.min_flavor))
    return Error(ErrorKind::invalid, "maxFlavor (" + app.max_flavor +
                                         ") is smaller than minFlavor (" + app.min_flavor + ")");
  return ok();
}

Result<void> check_lifetime(const std::string& lifetime) {
  if (lifetime == "REGULAR") return ok();
  return Error(ErrorKind::invalid, "applications of lifetime " + lifetime.substr(0, 80) +
                                       " are not offered yet; use REGULAR");
}

/// Which branch deploys; empty: the default again.
Result<void> take_branch(const json& body, std::optional<std::string>& into) {
  auto branch = field<std::string>(body, "branch", into.value_or(""));
  if (!branch) return branch.error();
  if (branch->empty()) {
    into.reset();
    return ok();
  }
  into = *branch;
  return check_branch(*branch);
}

Result<void> take_force_https(const json& body, bool& into) {
  auto https = field<std::string>(body, "forceHttps", into ? "ENABLED" : "DISABLED");
  if (!https) return https.error();
  if (*https != "ENABLED" && *https != "DISABLED")
    return Error(ErrorKind::invalid,
                 "the field \"forceHttps\" must be ENABLED or DISABLED, not \"" +
                     https->substr(0, 80) + "\"");
  into = *https == "ENABLED";
  return ok();
}

/// After how many seconds without a request it may sleep; 0: never.
Result<void> take_sleep_after(const json& body, const Settings& settings, int& into) {
  auto value = field<std::int64_t>(body, "sleepAfter", into);
  if (!value) return value.error();
  const auto least =
      std::chrono::duration_cast<std::chrono::seconds>(settings.shortest_sleep_after).count();
  // What it has may stay, whatever the platform allows by now.
  const bool fits = *value == 0 || *value == into || (*value >= least && *value <= longest_sleep_s);
  if (!fits)
    return Error(ErrorKind::invalid,
                 "the field \"sleepAfter\" must be 0 (never), or a number of seconds from " +
                     std::to_string(least) + " to " + std::to_string(longest_sleep_s) +
                     " (30 days)");
  into = static_cast<int>(*value);
  return ok();
}

/// Has what serves, or is about to, take the size that the owner wants now. Of an app that is down
/// the next deployment does.
Result<void> resize(const Call& call, pqxx::work& work, const App& before, const App& after) {
  if (after.min_instances == before.min_instances && after.min_flavor == before.min_flavor)
    return ok();
  auto commit = commit_to_scale(work, after.id);
  if (!commit) return ok();
  const bool up = after.min_instances > before.min_instances ||
                  (after.min_instances == before.min_instances &&
                   is_smaller_flavor(before.min_flavor, after.min_flavor));
  auto deployment = request_deployment(
      work, call.services.vault, after,
      {up ? "UPSCALE" : "DOWNSCALE", "Scaling", call.identity.name, commit, true});
  if (!deployment) return deployment.error();
  return ok();
}

Result<Answer> create(const Call& call, pqxx::work& work) {
  auto body = json_object(call.body);
  if (!body) return body.error();
  auto org = resolve_owner(work, call.identity, owner_in(call));
  if (!org) return org.error();
  if (body->contains("oauthService"))
    return Error(ErrorKind::invalid,
                 "applications linked to a code host are not offered: push to the application's "
                 "own repository");
  App app;
  app.id = ids::make("app_");
  app.org_id = *org;
  app.zone = "par";
  app.variant = "auto";
  app.min_flavor = app.max_flavor = "XS";
  app.build_flavor = "S";
  app.lifetime = "REGULAR";
  app.state = "SHOULD_BE_DOWN";
  std::string type;
  for (auto [name, into] : {std::pair{"name", &app.name},
                            {"description", &app.description},
                            {"zone", &app.zone},
                            {"instanceLifetime", &app.lifetime},
                            {"instanceType", &type},
                            {"instanceVariant", &app.variant}}) {
    auto taken = take_text(*body, name, *into);
    if (!taken) return taken.error();
  }
  if (!type.empty() && !body->contains("instanceVariant")) app.variant = type;
  if (app.description.empty()) app.description = app.name;
  auto named = check_app_name(app.name);
  if (!named) return named.error();
  auto lifetime = check_lifetime(app.lifetime);
  if (!lifetime) return lifetime.error();
  const auto known = wire::app_type(app.variant);
  if (!known) {
    std::string types;
    for (const wire::AppType& each : wire::app_types)
      types += (types.empty() ? "" : ", ") + std::string(each.name);
    return Error(ErrorKind::invalid,
                 "there is no type \"" + app.variant + "\"; there are " + types);
  }
  app.variant = known->name;
  auto scaled = take_scale(*body, app);
  if (!scaled) return scaled.error();
  auto env = field<Env>(*body, "env", {});
  if (!env) return env.error();
  auto fits = check_env(*env);
  if (!fits) return fits.error();
  auto created =
      create_app(work, app, call.services.settings.apps_domain, call.services.settings.public_host);
  if (!created) return created.error();
  replace_env(work, call.services.vault, app.id, *env);
  // Last: a repository without a row is swept up later, a row without a repository would be broken.
  auto repository = git::create_repository(call.services.settings, app.id);
  if (!repository) return repository.error();
  auto fresh = get_app(work, call.identity, app.id);
  if (!fresh) return fresh.error();
  return Answer{201, app_json(*fresh, call.services.settings), {}};
}

Result<Answer> update(const Call& call, pqxx::work& work) {
  auto body = json_object(call.body);
  if (!body) return body.error();
  auto found = get_app(work, call.identity, call.at("appId"));
  if (!found) return found.error();
  App app = *found;
  for (auto [name, into] : {std::pair{"name", &app.name}, {"description", &app.description}}) {
    auto taken = take_text(*body, name, *into);
    if (!taken) return taken.error();
  }
  auto named = check_app_name(app.name);
  if (!named) return named.error();
  for (auto [name, into] : {std::pair{"homogeneous", &app.homogeneous},
                            {"stickySessions", &app.sticky_sessions},
                            {"cancelOnPush", &app.cancel_on_push},
                            {"separateBuild", &app.separate_build}}) {
    auto taken = take_flag(*body, name, *into);
    if (!taken) return taken.error();
  }
  std::string lifetime = app.lifetime;
  auto taken = take_text(*body, "instanceLifetime", lifetime);
  if (taken) taken = check_lifetime(lifetime);
  if (taken) taken = take_force_https(*body, app.force_https);
  if (taken) taken = take_sleep_after(*body, call.services.settings, app.sleep_after_s);
  if (taken) taken = take_branch(*body, app.branch);
  if (taken) taken = take_scale(*body, app);
  if (taken) taken = take_flavor(*body, "buildFlavor", app.build_flavor);
  if (!taken) return taken.error();
  update_app(work, app);
  auto resized = resize(call, work, *found, app);
  if (!resized) return resized.error();
  return Answer{200, app_json(app, call.services.settings), {}};
}

Result<Answer> remove(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  delete_app(work, app->id);
  return done("The application " + app->name + " is being deleted");
}

/// Lists of things that an app could have and that this platform does not offer yet.
Result<Answer> nothing(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  return Answer{200, json::array(), {}};
}

}  // namespace

void add_applications(Routes& routes) {
  routes.add_owned("GET", "/applications", list);
  routes.add_owned("POST", "/applications", create);
  routes.add_owned("GET", "/applications/{appId}", get);
  routes.add_owned("PUT", "/applications/{appId}", update);
  routes.add_owned("DELETE", "/applications/{appId}", remove);
  routes.add_owned("GET", "/applications/{appId}/addons", nothing);
  routes.add_owned("GET", "/applications/{appId}/dependencies", nothing);
}

}  // namespace karreg::api::clever
