#include "common/wire/rules.hpp"

#include "api/clever/resources.hpp"
#include "api/stores/apps_store.hpp"

namespace karreg::api::clever {

using nlohmann::json;

namespace {

Result<Answer> get(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  return Answer{200, get_rules(work, app->id), {}};
}

Result<Answer> replace(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto body = json_object(call.body);
  if (!body) return body.error();
  auto rules = wire::read_rules(*body);
  if (!rules) return rules.error();
  // As all who read them would write them: what is the same, looks the same.
  const auto plain = wire::rules_json(*rules);
  set_rules(work, app->id, plain);
  return Answer{200, plain, {}};
}

Result<Answer> remove(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  set_rules(work, app->id, json::object());
  return done("The application " + app->name + " has no rules now");
}

}  // namespace

void add_rules(Routes& routes) {
  routes.add_owned("GET", "/applications/{appId}/rules", get);
  routes.add_owned("PUT", "/applications/{appId}/rules", replace);
  routes.add_owned("DELETE", "/applications/{appId}/rules", remove);
}

}  // namespace karreg::api::clever
