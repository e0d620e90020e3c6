#include "api/clever/resources.hpp"
#include "api/stores/apps_store.hpp"

namespace karreg::api::clever {

using nlohmann::json;

namespace {
/// The id that existing clients know for "no favourite is set".
constexpr int no_favourite = 4021;

Result<Answer> list(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  json all = json::array();
  for (const auto& vhost : app->vhosts) all.push_back({{"fqdn", vhost.fqdn()}});
  return Answer{200, all, {}};
}

Result<Answer> favourite(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  for (const auto& vhost : app->vhosts)
    if (vhost.favourite) return Answer{200, {{"fqdn", vhost.fqdn()}}, {}};
  return problem(404, no_favourite, "no favourite domain is set");
}

Result<Answer> choose(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto body = json_object(call.body);
  if (!body) return body.error();
  auto fqdn = field<std::string>(*body, "fqdn", "");
  if (!fqdn) return fqdn.error();
  auto vhost = parse_fqdn(*fqdn);
  if (!vhost) return vhost.error();
  auto set = set_favourite(work, app->id, *vhost);
  if (!set) return set.error();
  return Answer{200, {{"fqdn", vhost->fqdn()}}, {}};
}

Result<Answer> unchoose(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto unset = set_favourite(work, app->id, std::nullopt);
  if (!unset) return unset.error();
  return done("No favourite domain is set now");
}

Result<Answer> add(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto vhost = parse_fqdn(call.at("fqdn"));
  if (!vhost) return vhost.error();
  auto added = add_vhost(work, *app, *vhost, call.services.settings.public_host);
  if (!added) return added.error();
  return done("The domain " + vhost->fqdn() + " leads to the application");
}

Result<Answer> remove(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto vhost = parse_fqdn(call.at("fqdn"));
  if (!vhost) return vhost.error();
  auto removed = remove_vhost(work, app->id, *vhost);
  if (!removed) return removed.error();
  return done("The domain " + vhost->fqdn() + " is removed");
}

}  // namespace

void add_vhosts(Routes& routes) {
  routes.add_owned("GET", "/applications/{appId}/vhosts", list);
  routes.add_owned("GET", "/applications/{appId}/vhosts/favourite", favourite);
  routes.add_owned("PUT", "/applications/{appId}/vhosts/favourite", choose);
  routes.add_owned("DELETE", "/applications/{appId}/vhosts/favourite", unchoose);
  routes.add_owned("PUT", "/applications/{appId}/vhosts/{fqdn}", add);
  routes.add_owned("DELETE", "/applications/{appId}/vhosts/{fqdn}", remove);
}

}  // namespace karreg::api::clever
