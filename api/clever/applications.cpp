#include "api/clever/objects.hpp"
#include "api/clever/resources.hpp"
#include "api/git/repositories.hpp"
#include "api/stores/apps_store.hpp"
#include "api/stores/users_store.hpp"
#include "common/ids.hpp"

namespace karreg::api::clever {

using nlohmann::json;

namespace {

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
  if (app.lifetime != "REGULAR")
    return Error(ErrorKind::invalid,
                 "applications of lifetime " + app.lifetime + " are not offered yet; use REGULAR");
  bool known = false;
  for (const auto& [slug_name, label] : variants()) known = known || slug_name == app.variant;
  if (!known)
    return Error(ErrorKind::invalid, "there is no type \"" + app.variant +
                                         "\"; there are auto, node, python, static and cpp");
  auto scaled = take_scale(*body, app);
  if (!scaled) return scaled.error();
  auto env = field<Env>(*body, "env", {});
  if (!env) return env.error();
  for (const auto& [name, value] : *env) {
    auto good = check_env_name(name);
    if (good) good = check_env_value(name, value);
    if (!good) return good.error();
  }
  auto created = create_app(work, app, call.services.settings.apps_domain);
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
  auto https = field<std::string>(*body, "forceHttps", app.force_https ? "ENABLED" : "DISABLED");
  if (!https) return https.error();
  app.force_https = *https == "ENABLED";
  auto branch = field<std::string>(*body, "branch", app.branch.value_or(""));
  if (!branch) return branch.error();
  if (!branch->empty() && *branch != "master") app.branch = *branch;
  auto scaled = take_scale(*body, app);
  if (scaled) scaled = take_flavor(*body, "buildFlavor", app.build_flavor);
  if (!scaled) return scaled.error();
  update_app(work, app);
  const bool resized =
      app.min_instances != found->min_instances || app.min_flavor != found->min_flavor;
  if (resized && app.serving_deployment) {
    const bool up =
        app.min_instances > found->min_instances ||
        (app.min_instances == found->min_instances && app.min_flavor != found->min_flavor);
    auto deployment = request_deployment(
        work, call.services.vault, app,
        {up ? "UPSCALE" : "DOWNSCALE", "Scaling", call.identity.name, app.commit, true});
    if (!deployment) return deployment.error();
  }
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
