#pragma once
/// The scheduler's SQL. Every function works in the caller's transaction.

#include <functional>
#include <map>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "common/crypto/vault.hpp"
#include "common/wire/catalogue.hpp"
#include "common/wire/host.hpp"
#include "common/wire/routes.hpp"
#include "common/wire/traffic.hpp"
#include "scheduler/core/world.hpp"

namespace karreg::scheduler {

/// world_store.cpp: first of all in a transaction: no other scheduler decides until it ends, and
/// what the last one decided is seen in it.
void decide_alone(pqxx::work& work);
/// world_store.cpp: first of all in the transaction of a round, which decides alone. Whoever
/// changes a row meanwhile that the round writes makes it fail and be tried again on the new world.
void begin_round(pqxx::work& work);
/// world_store.cpp: when the transaction began, by the database's clock.
Time database_time(pqxx::work& work);
/// world_store.cpp: everything that a decision needs.
World load_world(pqxx::work& work);
/// Those that proxies are to have.
std::vector<wire::TcpRoute> load_tcp_routes(pqxx::work& work);

/// images_store.cpp: before the world is loaded: what @p catalogue names is current, and what apps
/// run on is known. @p manifest gives the manifest of an image by its digest, if it is there.
void remember_images(pqxx::work& work, const wire::Catalogue& catalogue,
                     const std::function<std::optional<std::string>(const std::string&)>& manifest);
/// images_store.cpp: what a decision needs of images and rolls; for load_world().
void load_images(pqxx::work& work, World& world);
void load_rolls(pqxx::work& work, World& world);
/// images_store.cpp: what changed of them; for save_world().
void save_image_news(pqxx::work& work, const World& before, const World& after, Time now);
void save_rolls(pqxx::work& work, const World& before, const World& after);
/// images_store.cpp: deletes images that neither the catalogue names nor an app runs on, with the
/// news about them, and rolls that ended more than 30 days ago.
void forget_old_images(pqxx::work& work);
void forget_old_rolls(pqxx::work& work);

/// world_save_store.cpp: writes what differs between the loaded and the advanced world, with the
/// news about it. A new deployment has the environment of the version in service, sealed anew by
/// @p vault.
void save_world(pqxx::work& work, const World& before, const World& after, Time now,
                const crypto::Vault& vault);

/// world_save_store.cpp: writes what owners are told into the logs of their apps, through the
/// outbox.
void save_notes(pqxx::work& work, const std::vector<Note>& notes, Time now);
/// world_save_store.cpp: deletes instances that ended more than a week ago; nobody looks at them.
void forget_old_instances(pqxx::work& work);
/// world_save_store.cpp: deletes jobs that ended more than 30 days ago.
void forget_old_jobs(pqxx::work& work);
/// Those that were killed did not say goodbye, and nobody waits for one that is silent for a day.
void forget_silent_proxies(pqxx::work& work);

/// reports_store.cpp: what an agent saw. Returns whether the agent converges on an older state than
/// was sent.
bool save_host_report(pqxx::work& work, const wire::HostReport& report);
/// reports_store.cpp: what a proxy serves. Writes a snapshot for it when it wants one.
void save_proxy_report(pqxx::work& work, const wire::ProxyReport& report);

/// traffic_store.cpp: what a proxy tells of its applications. Returns whether requests are held for
/// some.
bool save_traffic_report(pqxx::work& work, const wire::TrafficReport& report);
/// traffic_store.cpp: deletes figures that nobody looks at any more.
void forget_old_traffic(pqxx::work& work);

/// What a VM's specification is made of.
struct InstanceRow {
  std::string id;
  std::string app_id;
  std::string app_name;
  std::string deployment;
  std::string commit;
  std::string sealed_env;
  std::string build_id;
  InstanceKind kind = InstanceKind::run;
  int number = 0;
  std::string flavor;
  bool reported = false;  ///< its agent has it
  std::string artifact_digest;
  std::string plan;       ///< wire::BuildPlan as JSON
  std::string runtime;    ///< key of the image catalogue
  std::string run_image;  ///< digest of the image that the version is to run on; may be empty
  std::string job_id;     ///< of kind job, as what follows
  std::string job_kind;
  std::string command;
  std::int64_t wall_ms = 0;
};

/// desired_store.cpp: hosts whose set of wanted instances is not the one that was last sent.
std::vector<std::string> hosts_to_update(pqxx::work& work);
std::vector<InstanceRow> wanted_instances(pqxx::work& work, const std::string& host_id);
/// desired_store.cpp: the instance cannot be had, for the reason @p why.
void fail_instance(pqxx::work& work, const std::string& id, const std::string& why);
/// desired_store.cpp: what @p host_id got last counts as not sent.
void send_desired_again(pqxx::work& work, const std::string& host_id);
/// desired_store.cpp: sends @p vms as the next generation of @p host_id.
void send_desired(pqxx::work& work, const std::string& host_id, std::vector<wire::VmSpec> vms);

/// Milliseconds since the epoch for to_timestamp($n / 1000.0).
inline std::int64_t to_ms(Time time) {
  return time.time_since_epoch().count();
}

}  // namespace karreg::scheduler
