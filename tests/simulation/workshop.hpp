#pragma once

#include <map>
#include <set>

#include "base.hpp"
#include "dice.hpp"

namespace karreg::simulation {

/// karreg-builder: takes builds from the database, in its own time.
class Workshop {
 public:
  explicit Workshop(Dice& dice) : dice_(dice) {}
  /// Whether it changed something.
  bool step(Base& base, Time now);

 private:
  Dice& dice_;
  std::map<std::string, Time> due_;
  std::set<std::string> artifacts_;
};

inline bool Workshop::step(Base& base, Time now) {
  using scheduler::BuildState;
  bool changed = false;
  for (auto& [id, build] : base.world.builds) {
    const bool ours = build.state == BuildState::queued || build.state == BuildState::planning ||
                      build.state == BuildState::built;
    if (!ours) continue;
    const auto [due, fresh] = due_.try_emplace(id + std::to_string(static_cast<int>(build.state)),
                                               now + dice_.between(100ms, 2s));
    if (now < due->second) continue;
    changed = true;
    build.state_since = now;
    for (const auto& [key, image] : base.world.images) {
      if (!image.current || build.state != BuildState::planning) continue;
      build.runtime = key.runtime;
      build.image = key.digest;
    }
    const bool cached = build.use_cache && artifacts_.contains(build.commit);
    if (build.state == BuildState::queued) {
      build.state = BuildState::planning;
    } else if (build.state == BuildState::planning && build.commit.starts_with("refused")) {
      build.state = BuildState::failed;
      build.message = "no build tool was found";
    } else if (build.state == BuildState::planning && !cached) {
      build.state = BuildState::prepared;
    } else {
      build.state = BuildState::succeeded;
      build.artifact_digest = "artifact-of-" + build.commit;
      artifacts_.insert(build.commit);
      if (dice_.chance(300)) build.release = "release";
      if (dice_.chance(300)) build.cron = {{"* * * * *", "cron", 30'000, dice_.chance(500)}};
    }
  }
  return changed;
}

}  // namespace karreg::simulation
