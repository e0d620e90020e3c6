#include "front.hpp"

#include <set>

namespace karreg::simulation {

namespace {
std::set<std::string> backends(const proxy::RouteTable& table) {
  std::set<std::string> ids;
  for (const auto& route : table.routes())
    for (const auto& backend : route->backends) ids.insert(backend.instance_id);
  return ids;
}

/// Of applications that sleep by @p now, the instances that @p before had.
std::set<std::string> put_to_sleep(const proxy::RouteTable& before, const proxy::RouteTable& now) {
  std::set<std::string> ids;
  for (const auto& route : before.routes()) {
    const auto* present = now.find(route->host, route->path);
    if (present == nullptr || !present->asleep) continue;
    for (const auto& backend : route->backends) ids.insert(backend.instance_id);
  }
  return ids;
}

proxy::TrafficBook::Clock::time_point steady(Time now) {
  return proxy::TrafficBook::Clock::time_point(now.time_since_epoch());
}

/// How long the real proxy holds a request.
constexpr auto hold_time = 60s;
}  // namespace

void Front::replaced(const proxy::RouteTable& before, Time now) {
  changed_ = true;
  const auto present = backends(follower_.table());
  for (auto it = held_.begin(); it != held_.end();) {
    const auto app = it->first;
    const auto* route = follower_.table().find(app + ".localhost", "/");
    it = route != nullptr && route->asleep ? std::next(it) : held_.erase(it);
    if (route != nullptr && !route->backends.empty()) send(app, *route, now);
  }
  // Requests of a proxy that was away may go anywhere: nobody waits for them.
  if (excused) {
    std::erase_if(asked_, [&](const auto& entry) { return !present.contains(entry.first); });
    return;
  }
  // Who is put to sleep has not been asked for a while; it may be at the very moment.
  const auto idle = put_to_sleep(before, follower_.table());
  for (const auto& id : backends(before))
    if (!present.contains(id) && dice_.chance(idle.contains(id) ? 50 : 700))
      flights_[id] = now + (dice_.chance(100) ? dice_.between(10s, 90s) : dice_.between(1ms, 3s));
  for (const auto& [id, asked] : asked_)
    if (!present.contains(id) && asked.until > now)
      flights_[id] = std::max(flights_[id], asked.until);
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

void Front::send(const std::string& app, const wire::Route& route, Time now) {
  const auto& backend = route.backends[dice_.below(route.backends.size())];
  auto& asked = asked_[backend.instance_id];
  asked.app = app;
  // A WebSocket now and then.
  const auto takes = dice_.chance(20) ? dice_.between(30s, 200s) : dice_.between(1ms, 2s);
  asked.until = std::max(asked.until, now + takes);
}

void Front::ask(const std::string& app, Time now) {
  const auto* route = follower_.table().find(app + ".localhost", "/");
  if (!up_ || route == nullptr) return;
  if (!route->backends.empty())
    send(app, *route, now);
  else if (route->asleep && held_.emplace(app, now).second)
    next_call_ = now;
}

std::vector<wire::TrafficReport> Front::traffic(Time now) {
  if (!up_) return {};
  if (!book_) start(now);
  std::erase_if(held_, [&](const auto& entry) { return now - entry.second > hold_time; });
  std::map<std::string, int> held;
  for (const auto& [app, since] : held_) held[app] = 1;
  if (now >= next_traffic_) {
    next_traffic_ = now + 5s;
    proxy::TrafficBook::Look look;
    look.held = held;
    for (const auto& [id, asked] : asked_)
      look.active.push_back({asked.app, id, asked.until > now ? 1 : 0});
    std::erase_if(asked_, [&](const auto& entry) { return entry.second.until <= now; });
    book_->see(look, steady(now));
    auto reports = book_->report(id_);
    book_->confirmed();
    return reports;
  }
  if (held.empty() || now < next_call_) return {};
  next_call_ = now + 1s;
  return book_->call(id_, held);
}

void Front::kill() {
  up_ = false;
  flights_.clear();
  asked_.clear();
  held_.clear();
}

void Front::start(Time now) {
  up_ = true;
  book_.emplace(id_ + "/" + std::to_string(++starts_), steady(now));
  next_traffic_ = now + 5s;
  changed_ = true;
  proxy::Follower again;
  again.restore(follower_.table());
  follower_ = std::move(again);
}

}  // namespace karreg::simulation
