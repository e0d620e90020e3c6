#include "cli/session.hpp"

#include "common/http/message.hpp"
#include "common/suggest.hpp"

namespace karreg::cli {

bool Session::print_json(const Json& value) {
  if (!json()) return false;
  terminal_.print(value.dump(-1, ' ', false, Json::error_handler_t::replace));
  return true;
}

Result<const Api*> Session::api() {
  if (!api_) {
    auto profile = load_profile(environment_);
    if (!profile) return profile.error();
    api_.emplace(std::move(*profile));
  }
  return &*api_;
}

Result<Target> find_app(const Summary& summary, const std::string& wanted) {
  std::vector<const Summary::AppRef*> found;
  std::vector<std::string> names;
  for (const auto& app : summary.apps) {
    if (app.id == wanted) return Target{app.id, app.owner, app.name};
    if (app.name == wanted) found.push_back(&app);
    names.push_back(app.name);
  }
  if (found.empty())
    return Error(ErrorKind::not_found, "There is no app `" + wanted + "` that you can see." +
                                           did_you_mean(wanted, names) +
                                           " `karreg list` shows all.");
  if (found.size() > 1) {
    std::string ids;
    for (const auto* app : found) ids += (ids.empty() ? "" : ", ") + app->id;
    return Error(ErrorKind::invalid,
                 "Several apps are called `" + wanted + "`. Give the id instead: " + ids + ".");
  }
  return Target{found.front()->id, found.front()->owner, found.front()->name};
}

Result<std::string> find_owner(const Api& api, const std::string& wanted) {
  if (wanted.empty()) {
    auto self = api.get("/v2/self");
    if (!self) return self.error();
    return self->value("id", "");
  }
  auto answer = api.get("/v2/summary");
  if (!answer) return answer.error();
  auto summary = parse_summary(*answer);
  if (!summary) return summary.error();
  std::vector<std::string> names;
  for (const auto& organisation : summary->organisations) {
    if (organisation.id == wanted || organisation.name == wanted) return organisation.id;
    names.push_back(organisation.name);
  }
  return Error(ErrorKind::not_found,
               "There is no organisation `" + wanted + "` of yours." + did_you_mean(wanted, names));
}

Result<Target> Session::target(const AppChoice& choice) {
  if (!choice.app.empty() && !choice.alias.empty())
    return Error(ErrorKind::invalid, "Give --app or --alias, not both.");
  if (choice.app.empty()) {
    auto links = find_links(folder_);
    if (!links) return links.error();
    auto linked = choose_link(*links, choice.alias);
    if (!linked) return linked.error();
    return Target{linked->id, linked->owner, linked->name};
  }
  auto calls = api();
  if (!calls) return calls.error();
  auto answer = (*calls)->get("/v2/summary");
  if (!answer) return answer.error();
  auto summary = parse_summary(*answer);
  if (!summary) return summary.error();
  return find_app(*summary, choice.app);
}

Result<App> Session::app(const Target& target) {
  auto calls = api();
  if (!calls) return calls.error();
  auto answer = (*calls)->get(target.path());
  if (!answer) return answer.error();
  return parse_app(*answer);
}

}  // namespace karreg::cli
