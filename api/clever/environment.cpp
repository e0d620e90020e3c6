#include "api/clever/resources.hpp"
#include "api/stores/apps_store.hpp"

namespace karreg::api::clever {

using nlohmann::json;

namespace {

json list_json(const Env& env) {
  json all = json::array();
  for (const auto& [name, value] : env) all.push_back({{"name", name}, {"value", value}});
  return all;
}

Result<Answer> list(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto env = get_env(work, call.services.vault, app->id);
  if (!env) return env.error();
  return Answer{200, list_json(*env), {}};
}

Result<Answer> replace(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto body = json_object(call.body);
  if (!body) return body.error();
  Env env;
  for (const auto& [name, value] : body->items()) {
    if (!value.is_string())
      return Error(ErrorKind::invalid,
                   "the value of " + name + " must be a string, not " + value.type_name());
    env[name] = value.get<std::string>();
  }
  auto good = check_env(env);
  if (!good) return good.error();
  replace_env(work, call.services.vault, app->id, env);
  return Answer{200, list_json(env), {}};
}

Result<Answer> set(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto body = json_object(call.body);
  if (!body) return body.error();
  auto value = field<std::string>(*body, "value", "");
  if (!value) return value.error();
  const std::string& name = call.at("name");
  auto env = get_env(work, call.services.vault, app->id);
  if (!env) return env.error();
  (*env)[name] = *value;
  auto good = check_env(*env);
  if (!good) return good.error();
  set_env(work, call.services.vault, app->id, name, *value);
  return Answer{200, json::object({{"name", name}, {"value", *value}}), {}};
}

Result<Answer> unset(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  unset_env(work, app->id, call.at("name"));
  return done("The variable is removed; the next deployment goes without it");
}

Result<Answer> nothing(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  return Answer{200, json::array(), {}};
}

}  // namespace

void add_environment(Routes& routes) {
  routes.add_owned("GET", "/applications/{appId}/env", list);
  routes.add_owned("PUT", "/applications/{appId}/env", replace);
  routes.add_owned("PUT", "/applications/{appId}/env/{name}", set);
  routes.add_owned("DELETE", "/applications/{appId}/env/{name}", unset);
  routes.add_owned("GET", "/applications/{appId}/addons/env", nothing);
  routes.add_owned("GET", "/applications/{appId}/dependencies/env", nothing);
}

}  // namespace karreg::api::clever
