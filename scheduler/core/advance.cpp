#include "scheduler/core/advance.hpp"

#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

Advanced advance(World world, Time now, IdSource& ids) {
  Advanced result{std::move(world), {}};
  Round round{result.world, now, ids, result.notes};
  step_rolls(round);
  round.build_queue = waiting_builds(round);
  for (App* app : in_turn(round)) step_deployments(round, *app);
  for (auto& [id, app] : result.world.apps) {
    step_sleep(round, app);
    heal(round, app);
    step_cron(round, app);
    step_jobs(round, app);
    step_image_news(round, app);
  }
  step_drains(round);
  step_forgotten(round);
  place(round);
  step_routes(round);
  for (auto& [id, app] : result.world.apps) {
    if (!app.deleted || app.torn_down) continue;
    bool left = false;
    for (const auto& [key, route] : result.world.routes) left = left || route.app_id == id;
    for (const auto& [key, instance] : result.world.instances)
      left = left || (instance.app_id == id && !instance.ended_at);
    app.torn_down = !left;
  }
  // Nobody reads them, and the stream of its log is being deleted.
  std::erase_if(result.notes, [&](const Note& note) {
    const auto app = result.world.apps.find(note.app_id);
    return app == result.world.apps.end() || app->second.deleted;
  });
  return result;
}

}  // namespace karreg::scheduler
