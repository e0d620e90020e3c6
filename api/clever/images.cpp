// Apps on older images, and rolls, which bring them onto newer ones (docs/updates.md).
#include "api/clever/objects.hpp"
#include "api/clever/resources.hpp"
#include "api/stores/images_store.hpp"
#include "api/stores/users_store.hpp"

namespace karreg::api::clever {

using nlohmann::json;

namespace {

constexpr std::int64_t usual_wave = 5;
constexpr std::int64_t largest_wave = 1000;
constexpr std::size_t most_apps = 10'000;

Result<Answer> outdated(const Call& call, pqxx::work& work) {
  auto org = resolve_owner(work, call.identity, owner_in(call));
  if (!org) return org.error();
  json all = json::array();
  for (const auto& app : outdated_apps(work, *org)) all.push_back(outdated_app_json(app));
  return Answer{200, all, {}};
}

Result<RollRequest> roll_request(const std::string& text) {
  auto body = text.empty() ? Result<json>(json::object()) : json_object(text);
  if (!body) return body.error();
  RollRequest request;
  auto apps = field<std::vector<std::string>>(*body, "apps", {});
  if (!apps) return apps.error();
  if (apps->size() > most_apps)
    return Error(ErrorKind::invalid, "the field \"apps\" may name " + std::to_string(most_apps) +
                                         " applications, not " + std::to_string(apps->size()));
  const auto named = body->find("apps");
  if (named != body->end() && !named->is_null() && apps->empty())
    return Error(ErrorKind::invalid,
                 "the field \"apps\" names no application: leave it out for all that are outdated");
  auto wave = field<std::int64_t>(*body, "wave", usual_wave);
  if (!wave) return wave.error();
  if (*wave < 1 || *wave > largest_wave)
    return Error(ErrorKind::invalid,
                 "the field \"wave\" must be a number of applications from 1 to 1000, not " +
                     std::to_string(*wave));
  request.apps = std::move(*apps);
  request.wave_size = static_cast<int>(*wave);
  return request;
}

Result<Answer> create(const Call& call, pqxx::work& work) {
  auto org = resolve_owner(work, call.identity, owner_in(call));
  if (!org) return org.error();
  auto request = roll_request(call.body);
  if (!request) return request.error();
  request->org_id = *org;
  request->author = call.identity.name;
  auto roll = request_roll(work, *request);
  if (!roll) return roll.error();
  return Answer{200, roll_json(*roll), {}};
}

Result<Answer> list(const Call& call, pqxx::work& work) {
  auto org = resolve_owner(work, call.identity, owner_in(call));
  if (!org) return org.error();
  json all = json::array();
  for (const auto& roll : list_rolls(work, *org)) all.push_back(roll_json(roll));
  return Answer{200, all, {}};
}

Result<Roll> roll_in(const Call& call, pqxx::work& work) {
  auto org = resolve_owner(work, call.identity, owner_in(call));
  if (!org) return org.error();
  return get_roll(work, *org, call.at("rollId"));
}

Result<Answer> get(const Call& call, pqxx::work& work) {
  auto roll = roll_in(call, work);
  if (!roll) return roll.error();
  return Answer{200, roll_json(*roll), {}};
}

Result<Answer> cancel(const Call& call, pqxx::work& work) {
  auto roll = roll_in(call, work);
  if (!roll) return roll.error();
  if (auto cancelled = cancel_roll(work, *roll); !cancelled) return cancelled.error();
  return done("No further wave of the roll begins");
}

}  // namespace

void add_images(Routes& routes) {
  routes.add_owned("GET", "/images/outdated", outdated);
  routes.add_owned("GET", "/images/rolls", list);
  routes.add_owned("POST", "/images/rolls", create);
  routes.add_owned("GET", "/images/rolls/{rollId}", get);
  routes.add_owned("DELETE", "/images/rolls/{rollId}", cancel);
}

}  // namespace karreg::api::clever
