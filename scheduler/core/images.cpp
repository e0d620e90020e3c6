// Which image of a runtime is the present one, and what owners are told of it: once for each app
// and image, however often the scheduler starts.
#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

const std::pair<const ImageKey, Image>* current_image(const World& world,
                                                      const std::string& runtime) {
  for (auto it = world.images.lower_bound({runtime, ""});
       it != world.images.end() && it->first.runtime == runtime; ++it)
    if (it->second.current) return &*it;
  return nullptr;
}

void step_image_news(Round& round, const App& app) {
  if (app.deleted) return;
  const auto serving = round.world.deployments.find(app.serving_deployment);
  if (serving == round.world.deployments.end() || serving->second.image.empty()) return;
  const auto* present = current_image(round.world, serving->second.runtime);
  if (present == nullptr || present->first.digest == serving->second.image) return;
  // What is on its way may be on the present image.
  if (open_deployment(round, app) != nullptr) return;
  if (!round.world.image_news.insert({app.id, present->first}).second) return;
  round.note(serving->second,
             "There is a newer image of " + present->first.runtime + " (" +
                 present->first.digest.substr(0, 12) +
                 ") than this application runs on: `karreg images outdated` says what differs, "
                 "`karreg images roll` brings the application onto it");
}

}  // namespace karreg::scheduler
