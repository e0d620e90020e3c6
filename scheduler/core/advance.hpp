#pragma once

#include "scheduler/core/world.hpp"

namespace karreg::scheduler {

/// The decision: the world as it should be written back, and what owners are told.
///
/// Pure: everything that follows from @p world at @p now, in this order: what is deleted or waits
/// is cleared up, rolls make deployments (rolls.cpp), each app's active deployment moves on
/// (deployments.cpp, builds.cpp), who is not asked sleeps and who is wakes (sleeping.cpp), what
/// serves is healed (healing.cpp), jobs are made of the times of crons (cron.cpp) and go their way
/// (jobs.cpp), owners are told of newer images (images.cpp), drains end and what is to stop on a
/// lost host counts as ended (instances.cpp), new instances get hosts (placement.cpp), routes
/// follow instances (routing.cpp). Advancing the result again at the same time soon changes nothing
/// more.
struct Advanced {
  World world;
  std::vector<Note> notes;
};
Advanced advance(World world, Time now, IdSource& ids);

}  // namespace karreg::scheduler
