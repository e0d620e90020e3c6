#pragma once
/// Applications, their environment, host names, deployments and instances. Every function works in
/// the caller's transaction.

#include <map>
#include <pqxx/pqxx>
#include <set>
#include <string>

#include "api/core/model.hpp"
#include "common/crypto/vault.hpp"

namespace karreg::api {

/// Error `not_found` for an app that does not exist, is deleted, or belongs to an organisation the
/// user is no member of: these are not told apart.
Result<App> get_app(pqxx::work& work, const Identity& identity, const std::string& app_id);
std::vector<App> list_apps(pqxx::work& work, const std::string& org_id);
/// Inserts @p app (its id is set) with the host name <slug>.<domain>, made unique. @p reserved_host
/// is the platform's own.
Result<App> create_app(pqxx::work& work, App app, const std::string& domain,
                       const std::string& reserved_host);
/// Saves what an owner may change.
void update_app(pqxx::work& work, const App& app);
/// The rules of an app as the JSON form of wire::Rules; {} when it has none.
nlohmann::json get_rules(pqxx::work& work, const std::string& app_id);
/// Saves @p rules, checked ones; {} takes them away.
void set_rules(pqxx::work& work, const std::string& app_id, const nlohmann::json& rules);
/// Marks the app as deleted; the scheduler takes it down.
void delete_app(pqxx::work& work, const std::string& app_id);
/// Deleted apps of which nothing runs any more.
std::vector<std::string> torn_down_apps(pqxx::work& work);
/// Removes the rows of a torn down app.
void forget_app(pqxx::work& work, const std::string& app_id);

Result<Env> get_env(pqxx::work& work, const crypto::Vault& vault, const std::string& app_id);
void set_env(pqxx::work& work, const crypto::Vault& vault, const std::string& app_id,
             const std::string& name, const std::string& value);
void unset_env(pqxx::work& work, const std::string& app_id, const std::string& name);
void replace_env(pqxx::work& work, const crypto::Vault& vault, const std::string& app_id,
                 const Env& env);

/// Error `conflict` when another app has the name, another organisation has any name of the same
/// host, or the host is @p reserved_host.
Result<void> add_vhost(pqxx::work& work, const App& app, const Vhost& vhost,
                       const std::string& reserved_host);
/// Error `not_found`.
Result<void> remove_vhost(pqxx::work& work, const std::string& app_id, const Vhost& vhost);
/// Sets the favourite, or none. Error `not_found`.
Result<void> set_favourite(pqxx::work& work, const std::string& app_id,
                           const std::optional<Vhost>& vhost);

/// What a new deployment is.
struct DeploymentRequest {
  std::string action = "DEPLOY";
  std::string cause;
  std::string author;
  std::optional<std::string> commit;
  bool use_cache = true;
};
/// Records a deployment with the app's present environment and size, and wakes the scheduler.
Result<Deployment> request_deployment(pqxx::work& work, const crypto::Vault& vault, const App& app,
                                      const DeploymentRequest& request);
/// Records a deployment that asks for what is in service already: it has ended when it is seen, so
/// that a client which waits for it finds it. Error: those of request_deployment.
Result<Deployment> record_in_service(pqxx::work& work, const crypto::Vault& vault, const App& app,
                                     const DeploymentRequest& request);
/// The commit that a restart without one deploys: of what is on its way, unless that was cancelled,
/// else of what serves, else of what was tried last. Nothing when none was ever deployed.
std::optional<std::string> commit_to_restart(pqxx::work& work, const std::string& app_id);
/// The commit that a new size is for: of the version in service or, as nothing serves yet, of the
/// one on its way there. Nothing when the app is down. After update_app() of the same transaction,
/// which holds the scheduler off this app.
std::optional<std::string> commit_to_scale(pqxx::work& work, const std::string& app_id);
/// Whether @p app serves with the environment and the size that its owner wants now, and nothing
/// else is on its way.
Result<bool> serves_as_wanted(pqxx::work& work, const crypto::Vault& vault, const App& app);
/// Newest first; @p limit 0: all.
std::vector<Deployment> list_deployments(pqxx::work& work, const std::string& app_id, int limit);
/// Of all apps: those that began or ended after @p since_ms, the oldest change first; at most a
/// thousand, the newest.
std::vector<Deployment> deployments_changed_since(pqxx::work& work, std::int64_t since_ms);
/// Ids of the users who may see the app, be it deleted or not.
std::vector<std::string> members_of_app(pqxx::work& work, const std::string& app_id);
/// By uuid or number. Error `not_found`.
Result<Deployment> get_deployment(pqxx::work& work, const std::string& app_id,
                                  const std::string& id);
/// Asks for the end of a deployment. Error `conflict` when it is over.
Result<void> cancel_deployment(pqxx::work& work, const Deployment& deployment);

/// The deployments of every application, deleted ones too, that are open or in service: numbers by
/// application.
std::map<std::string, std::set<int>> deployments_in_use(pqxx::work& work);
/// Whether anything is being deployed on the platform.
bool any_open_deployment(pqxx::work& work);

/// Instances that exist now, or all of the last days when @p ended too.
std::vector<Instance> list_instances(pqxx::work& work, const std::string& app_id, bool ended);

}  // namespace karreg::api
