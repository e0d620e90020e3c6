#include "api/clever/objects.hpp"
#include "api/clever/resources.hpp"
#include "api/stores/apps_store.hpp"
#include "api/stores/users_store.hpp"
#include "common/wire/app_types.hpp"

namespace karreg::api::clever {

using nlohmann::json;

namespace {

Result<Answer> self(const Call& call, pqxx::work& work) {
  auto user = get_user(work, call.identity.user_id);
  if (!user) return user.error();
  return Answer{200, user_json(*user), {}};
}

Result<Answer> current_token(const Call& call, pqxx::work&) {
  return Answer{200, {{"expirationDate", call.identity.token_expires_ms}}, {}};
}

Result<Answer> emails(const Call& call, pqxx::work&) {
  return Answer{200, json::array({call.identity.email}), {}};
}

Result<Answer> empty_list(const Call&, pqxx::work&) {
  return Answer{200, json::array(), {}};
}

Result<Answer> summary(const Call& call, pqxx::work& work) {
  // Every resource stands under exactly one owner: personal ones under the default organisation.
  json organisations = json::array();
  for (const auto& org : organisations_of(work, call.identity.user_id)) {
    json apps = json::array();
    for (const auto& app : list_apps(work, org.id)) apps.push_back(summary_app_json(app));
    organisations.push_back({{"id", org.id},
                             {"name", org.name},
                             {"avatar", nullptr},
                             {"role", org.role},
                             {"applications", apps},
                             {"addons", json::array()},
                             {"consumers", json::array()},
                             {"providers", json::array()}});
  }
  json user = {{"id", call.identity.user_id}, {"name", call.identity.name},
               {"partnerConsoleUrl", ""},     {"applications", json::array()},
               {"addons", json::array()},     {"consumers", json::array()}};
  return Answer{200, {{"user", user}, {"organisations", organisations}}, {}};
}

Result<Answer> products(const Call&, pqxx::work&) {
  json all = json::array();
  for (const wire::AppType& type : wire::app_types)
    all.push_back(instance_type_json(std::string(type.name), std::string(type.title)));
  return Answer{200, all, {}};
}

Result<Answer> zones(const Call&, pqxx::work&) {
  return Answer{200,
                json::array({{{"id", "par"},
                              {"name", "par"},
                              {"city", "this platform"},
                              {"country", ""},
                              {"countryCode", ""},
                              {"lat", 0},
                              {"lon", 0},
                              {"tags", json::array()}}}),
                {}};
}

}  // namespace

void add_account(Routes& routes) {
  routes.add("GET", "/v2/self", self);
  routes.add("GET", "/v2/self/tokens/current", current_token);
  routes.add("GET", "/v2/self/emails", emails);
  routes.add("GET", "/v2/self/keys", empty_list);
  routes.add("GET", "/v2/summary", summary);
  routes.add("GET", "/v2/products/instances", products, Access::anyone);
  routes.add("GET", "/v2/products/addonproviders", empty_list, Access::anyone);
  routes.add("GET", "/v4/products/zones", zones, Access::anyone);
  routes.add_owned("GET", "/addons", empty_list);
}

}  // namespace karreg::api::clever
