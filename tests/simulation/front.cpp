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
  const auto present = backends(table_);
  // Requests of a proxy that was away may go anywhere: nobody waits for them.
  if (excused) return;
  for (const auto& id : backends(before))
    if (!present.contains(id) && dice_.chance(700))
      flights_[id] = now + (dice_.chance(100) ? dice_.between(10s, 90s) : dice_.between(1ms, 3s));
  for (const auto& id : present) flights_.erase(id);
}

void Front::take(const wire::RouteUpdate& update, Time now) {
  const auto before = table_;
  auto applied = table_.apply(update);
  if (applied) {
    wants_snapshot_ = false;
    replaced(before, now);
  } else if (update.version > table_.version()) {
    wants_snapshot_ = true;
    changed_ = true;
  }
}

void Front::take(const wire::RouteSnapshot& snapshot, Time now) {
  auto table = proxy::RouteTable::from(snapshot);
  // An older one is a message that was late.
  if (!table || snapshot.version < table_.version()) return;
  const auto before = std::move(table_);
  table_ = std::move(*table);
  wants_snapshot_ = false;
  replaced(before, now);
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
  r.version = table_.version();
  r.wants_snapshot = wants_snapshot_;
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
  wants_snapshot_ = true;
}

}  // namespace karreg::simulation
