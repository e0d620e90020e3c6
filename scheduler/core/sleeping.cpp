// Who sleeps and who wakes. An application whose owner allows it goes to sleep when all proxies in
// service agree that nobody has asked for it for its time: its route says so in the version in
// which its instances leave it, these drain as any others, and stop. A request that comes is held
// by its proxy, which tells: then instances of the same deployment start, as when one is healed.
// Until the old ones have stopped, they come back instead; so does an application whose proxies
// turn out to have requests in hand: a decision to sleep never cuts a request.
#include <algorithm>

#include "scheduler/core/steps.hpp"

namespace karreg::scheduler {

namespace {

std::string span_of(milliseconds time) {
  const auto seconds = time.count() / 1000;
  if (seconds % 86'400 == 0) return std::to_string(seconds / 86'400) + " d";
  if (seconds % 3600 == 0) return std::to_string(seconds / 3600) + " h";
  if (seconds % 60 == 0) return std::to_string(seconds / 60) + " min";
  return std::to_string(seconds) + " s";
}

void turn(Round& round, App& app, Sleep sleep) {
  app.sleep = sleep;
  app.sleep_since = round.now;
}

/// Whether all that serves is in service and well, and nothing else of @p app runs.
bool at_rest(const Round& round, const App& app, const Deployment& serving) {
  int well = 0;
  for (const auto& [id, instance] : round.world.instances) {
    // A job neither needs the app awake nor keeps it so.
    if (instance.app_id != app.id || !instance.alive() || instance.kind == InstanceKind::job)
      continue;
    if (instance.deployment != serving.uuid || instance.builds() || instance.unwanted_at ||
        instance.routed != Routed::yes || !instance.healthy || instance.terminal() ||
        // What its host last said of it may be over.
        host_silent(round.world, instance, round.policy().host_fresh, round.now))
      return false;
    ++well;
  }
  return well == serving.instances;
}

/// Until when every proxy that may have visitors has told all that it was asked in the time @p span
/// before. Nothing: one has not, or not lately; one that is silent may be serving all the same.
std::optional<Time> all_told(const Round& round, milliseconds span) {
  // When nobody could be heard, those that serve may need a moment to be heard again.
  if (round.now - round.world.hearing_since < round.policy().all_heard) return std::nullopt;
  std::optional<Time> until;
  for (const auto& [id, proxy] : round.world.proxies) {
    if (!is_in_service(round.world, proxy, round.now)) continue;
    if (!is_live(round.world, proxy, round.now) || !proxy.covered_since ||
        *proxy.covered_since > proxy.covered_until - span ||
        round.now - proxy.covered_until > round.policy().figures_fresh)
      return std::nullopt;
    until = std::min(until.value_or(proxy.covered_until), proxy.covered_until);
  }
  return until;
}

bool may_sleep(const Round& round, const App& app) {
  // Of connections to ports of TCP services no proxy tells, and it holds none.
  if (app.sleep_after <= milliseconds(0) || app.deleted || app.vhosts.empty() ||
      !app.tcp_ports.empty())
    return false;
  const auto serving = round.world.deployments.find(app.serving_deployment);
  if (serving == round.world.deployments.end() || open_deployment(round, app) != nullptr)
    return false;
  const auto known = all_told(round, app.sleep_after);
  const Time last = std::max({app.last_request.value_or(Time{}), app.sleep_since.value_or(Time{}),
                              serving->second.ended_at.value_or(round.now)});
  return known && last <= *known - app.sleep_after && at_rest(round, app, serving->second);
}

void fall_asleep(Round& round, App& app) {
  turn(round, app, Sleep::asleep);
  round.note(round.world.deployments.at(app.serving_deployment),
             "No request for " + span_of(app.sleep_after) +
                 ": the application goes to sleep, the next request wakes it");
  for (auto& [id, instance] : round.world.instances) {
    if (instance.app_id != app.id || !instance.alive() || !instance.runs()) continue;
    instance.slept = true;
    begin_drain(round, instance);
  }
}

/// Why @p app must wake, for its owner; empty: it need not.
std::string reason_to_wake(const Round& round, const App& app) {
  if (app.sleep_after <= milliseconds(0)) return "it is not to sleep any more";
  if (!app.tcp_ports.empty()) return "it has a port of a TCP service";
  if (app.last_request && *app.last_request > *app.sleep_since) return "a request came";
  for (const auto& [id, instance] : round.world.instances) {
    if (instance.app_id != app.id || !instance.slept || instance.routed != Routed::draining)
      continue;
    // It was on its way when the route was changed.
    if (has_in_flight(round, instance)) return "a request came";
    if (round.now - *instance.unwanted_at > round.policy().drain_timeout)
      return "not all reverse proxies know that it sleeps";
  }
  return {};
}

/// Those that have not been stopped yet serve again.
void take_back(Round& round, const App& app) {
  for (auto& [id, instance] : round.world.instances) {
    if (instance.app_id != app.id || !instance.slept || !instance.alive() ||
        instance.routed != Routed::draining || instance.terminal())
      continue;
    instance.routed = Routed::yes;
    instance.unwanted_at.reset();
    instance.slept = false;
  }
}

bool answers(const Round& round, const App& app) {
  return std::ranges::any_of(round.world.instances, [&](const auto& entry) {
    const Instance& instance = entry.second;
    return instance.app_id == app.id && instance.routed == Routed::yes && instance.healthy &&
           !instance.address.empty();
  });
}

}  // namespace

void step_sleep(Round& round, App& app) {
  const auto serving = round.world.deployments.find(app.serving_deployment);
  if (app.sleep != Sleep::awake && (app.deleted || serving == round.world.deployments.end())) {
    // It was stopped or deleted.
    turn(round, app, Sleep::awake);
    return;
  }
  switch (app.sleep) {
    case Sleep::awake:
      if (may_sleep(round, app)) fall_asleep(round, app);
      return;
    case Sleep::asleep: {
      const std::string why = reason_to_wake(round, app);
      if (why.empty()) return;
      turn(round, app, Sleep::waking);
      round.note(serving->second, "Waking up: " + why);
      take_back(round, app);
      return;
    }
    case Sleep::waking:
      if (answers(round, app)) {
        round.note(serving->second,
                   "Awake again after " + seconds_between(*app.sleep_since, round.now));
        turn(round, app, Sleep::awake);
      } else if (round.now - *app.sleep_since > round.policy().waking_timeout) {
        round.note(serving->second, "The application does not wake up: visitors are told so");
        turn(round, app, Sleep::awake);
      }
  }
}

}  // namespace karreg::scheduler
