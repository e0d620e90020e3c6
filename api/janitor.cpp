#include "api/janitor.hpp"

#include <filesystem>

#include "api/git/repositories.hpp"
#include "api/stores/apps_store.hpp"
#include "common/async/offload.hpp"
#include "common/async/task_group.hpp"
#include "common/broker/topology.hpp"
#include "common/log.hpp"

namespace karreg::api {

void sweep_deleted_apps(const Services& services) {
  auto ids = services.database.transact(
      [](pqxx::work& work) -> Result<std::vector<std::string>> { return torn_down_apps(work); });
  if (!ids) return;
  for (const auto& id : *ids) {
    auto removed = git::remove_repository(services.settings, id);
    std::error_code ignored;
    std::filesystem::remove(services.settings.data_dir + "/cache/" + id + ".img", ignored);
    for (const auto& stream : {broker::log_stream(id), broker::access_stream(id)})
      if (removed) removed = services.publisher.delete_queue(stream);
    if (removed)
      removed = services.database.transact([&](pqxx::work& work) -> Result<void> {
        forget_app(work, id);
        return ok();
      });
    if (removed)
      log::info("deleted application removed", {log::field("app", id)});
    else
      log::warn("deleted application not removed",
                {log::field("app", id), log::field("why", removed.error().message())});
  }
}

namespace {

/// The database may be away; the next round is soon.
void look_after_pushes(Presence& presence, git::Orphans& orphans) {
  auto done = presence.hold();
  if (done) done = orphans.adopt_forsaken();
  if (!done) log::warn("open pushes not looked at", {log::field("why", done.error().message())});
}

}  // namespace

awaitable<void> sweep_for_ever(const Services& services, Presence& presence,
                               git::Orphans& orphans) {
  for (;;) {
    const bool slept = co_await sleep_for(std::chrono::seconds(3));
    if (!slept) co_return;
    auto sweep = [&] {
      look_after_pushes(presence, orphans);
      sweep_deleted_apps(services);
    };
    co_await offload(services.pool, sweep);
  }
}

}  // namespace karreg::api
