#include "api/clever/objects.hpp"
#include "api/clever/resources.hpp"
#include "api/core/parameters.hpp"
#include "api/git/repositories.hpp"
#include "api/stores/apps_store.hpp"

namespace karreg::api::clever {

using nlohmann::json;

namespace {

Result<Answer> instances(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  json all = json::array();
  for (const auto& instance : list_instances(work, app->id, false))
    if (instance.kind == "run") all.push_back(instance_json(instance));
  return Answer{200, all, {}};
}

/// @p commit was asked for by name: it has to be one that was pushed.
Result<void> check_commit(const Call& call, const App& app, const std::string& commit) {
  auto there = git::has_commit(call.services.settings, app.id, commit);
  if (!there) return there.error();
  if (!*there)
    return Error(ErrorKind::not_found, "the repository of " + app.name + " has no commit " +
                                           commit + ": push it, then restart with it");
  return ok();
}

Result<Answer> restart(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  DeploymentRequest request;
  request.cause = "Restart";
  request.author = call.identity.name;
  request.use_cache = call.parameter("useCache").value_or("yes") != "no";
  request.commit = call.parameter("commit");
  if (request.commit) {
    auto known = check_commit(call, *app, *request.commit);
    if (!known) return known.error();
  } else {
    request.commit = commit_to_restart(work, app->id);
  }
  if (!request.commit)
    return Error(ErrorKind::conflict, "nothing was deployed yet: push a commit first");
  auto deployment = request_deployment(work, call.services.vault, *app, request);
  if (!deployment) return deployment.error();
  return Answer{200,
                {{"id", 200},
                 {"message", "The application is being redeployed"},
                 {"type", "success"},
                 {"deploymentId", deployment->uuid}},
                {}};
}

Result<Answer> stop(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto deployment =
      request_deployment(work, call.services.vault, *app,
                         {"UNDEPLOY", "Stop", call.identity.name, std::nullopt, true});
  if (!deployment) return deployment.error();
  return done("The application is being stopped");
}

Result<Answer> list(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto limit = number_parameter("limit", call.parameter("limit").value_or("0"), 0, 1'000'000);
  if (!limit) return limit.error();
  json all = json::array();
  for (const auto& deployment : list_deployments(work, app->id, static_cast<int>(*limit)))
    all.push_back(deployment_json(deployment));
  return Answer{200, all, {}};
}

Result<Answer> get(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto deployment = get_deployment(work, app->id, call.at("deployment"));
  if (!deployment) return deployment.error();
  return Answer{200, deployment_json(*deployment), {}};
}

Result<Answer> cancel(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto deployment = get_deployment(work, app->id, call.at("deployment"));
  if (!deployment) return deployment.error();
  auto cancelled = cancel_deployment(work, *deployment);
  if (!cancelled) return cancelled.error();
  return done("The deployment is being cancelled");
}

Result<Answer> v4_instances(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  const auto deployment = call.parameter("deploymentId");
  json all = json::array();
  for (const auto& instance : list_instances(work, app->id, true))
    if (!deployment || instance.deployment == *deployment)
      all.push_back(v4_instance_json(instance));
  return Answer{200, all, {}};
}

Result<Answer> v4_instance(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  for (const auto& instance : list_instances(work, app->id, true))
    if (instance.id == call.at("instanceId")) return Answer{200, v4_instance_json(instance), {}};
  return Error(ErrorKind::not_found, "the application has no instance " + call.at("instanceId"));
}

Result<Answer> v4_deployment(const Call& call, pqxx::work& work) {
  auto app = get_app(work, call.identity, call.at("appId"));
  if (!app) return app.error();
  auto deployment = get_deployment(work, app->id, call.at("deployment"));
  if (!deployment) return deployment.error();
  return Answer{200, v4_deployment_json(*deployment), {}};
}

}  // namespace

void add_deployments(Routes& routes) {
  routes.add_owned("GET", "/applications/{appId}/instances", instances);
  routes.add_owned("POST", "/applications/{appId}/instances", restart);
  routes.add_owned("DELETE", "/applications/{appId}/instances", stop);
  routes.add_owned("GET", "/applications/{appId}/deployments", list);
  routes.add_owned("GET", "/applications/{appId}/deployments/{deployment}", get);
  routes.add_owned("DELETE", "/applications/{appId}/deployments/{deployment}/instances", cancel);
  routes.add("GET", "/v4/orchestration/organisations/{ownerId}/applications/{appId}/instances",
             v4_instances);
  routes.add(
      "GET",
      "/v4/orchestration/organisations/{ownerId}/applications/{appId}/instances/{instanceId}",
      v4_instance);
  routes.add(
      "GET",
      "/v4/orchestration/organisations/{ownerId}/applications/{appId}/deployments/{deployment}",
      v4_deployment);
}

}  // namespace karreg::api::clever
