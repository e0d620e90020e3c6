#include "front.hpp"

#include <set>

namespace karreg::simulation {

namespace {
std::set<std::string> backends(const proxy::RouteTable& table) {
  std::set<std::string> ids;
  for (const auto& [key, route] : table.routes())
    for (const auto& backend : route.backends) ids.insert(backend.instance_id);
  return ids;
}
}  // namespace

void Front::replaced(const proxy::RouteTable& before, Time now) {
  changed_ = true;
  const auto present = backends(follower_.table());
  // Requests of a proxy that was away may go anywhere: nobody waits for them.
  if (excused) return;
  for (const auto& id : backends(before))
    if (!present.contains(id) && dice_.chance(700))
      flights_[id] = now + (dice_.chance(100) ? dice_.between(10s, 90s) : dice_.between(1ms, 3s));
  for (const auto& id : present) flights_.erase(id);
}

template <class Message>
void Front::follow(const Message& message, Time now) {
  const auto before = follower_.table();
  const auto decision = follower_.take(message);
  if (decision.use_table) replaced(before, now);
  if (follower_.wants_snapshot()) changed_ = true;
}

void Front::take(const wire::RouteUpdate& update, Time now) {
  follow(update, now);
}
void Front::take(const wire::RouteSnapshot& snapshot, Time now) {
  follow(snapshot, now);
}

std::optional<wire::ProxyReport> Front::report(Time now) {
  if (!up_) return std::nullopt;
  if (std::erase_if(flights_, [&](const auto& entry) { return now >= entry.second; }) > 0)
    changed_ = true;
  if (!changed_ && now < next_report_) return std::nullopt;
  changed_ = false;
  next_report_ = now + 2s;
  wire::ProxyReport r;
  r.proxy_id = id_;
  r.version = follower_.table().version();
  r.wants_snapshot = follower_.wants_snapshot();
  for (const auto& [id, until] : flights_) r.draining[id] = 1;
  return r;
}

void Front::kill() {
  up_ = false;
  flights_.clear();
}

void Front::start() {
  up_ = true;
  changed_ = true;
  proxy::Follower again;
  again.restore(follower_.table());
  follower_ = std::move(again);
}

}  // namespace karreg::simulation
