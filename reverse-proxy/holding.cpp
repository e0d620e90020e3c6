#include "reverse-proxy/holding.hpp"

#include <algorithm>
#include <utility>

#include "reverse-proxy/connection.hpp"

namespace karreg::proxy {

void Holding::Place::leave() {
  if (queue_ == nullptr) return;
  auto& queue = *std::exchange(queue_, nullptr);
  --queue.out;
  holding_->let_go(queue);
  holding_->forget_if_empty(queue);
}

Holding::Holding(Loop& loop, const Limits& limits, int workers, HeldApps& apps,
                 WorkerMetrics& count)
    : loop_(loop),
      limits_(limits),
      workers_(static_cast<std::size_t>(workers)),
      apps_(apps),
      count_(count) {}

Holding::~Holding() = default;

std::size_t Holding::share(std::size_t of_all) const {
  return (of_all + workers_ - 1) / workers_;
}

Holding::Queue& Holding::queue_of(const std::string& app) {
  auto& queue = queues_[app];
  if (!queue) queue = std::make_unique<Queue>(Queue{app, {}, 0});
  return *queue;
}

Task<Holding::End> Holding::wait(Guest guest, SteadyTime by, Place& place) {
  auto& queue = queue_of(guest.app);
  if (held_ >= share(limits_.held) || queue.waiting.size() >= share(limits_.held_per_app)) {
    count_.held_refused.add();
    forget_if_empty(queue);
    co_return End::full;
  }
  const auto since = loop_.now();
  Waiter waiter(loop_, guest, by);
  queue.waiting.push_back(waiter);
  ++held_;
  count_.held.add();
  count_.held_now.add();
  apps_.add(queue.app);
  co_await waiter.news;
  const auto waited = std::chrono::duration_cast<std::chrono::microseconds>(loop_.now() - since);
  count_.held_us.add(static_cast<std::uint64_t>(waited.count()));
  KARREG_INVARIANT(waiter.end.has_value());
  if (*waiter.end == End::let_go) {
    place.holding_ = this;
    place.queue_ = &queue;
  }
  co_return *waiter.end;
}

void Holding::finish(Queue& queue, Waiter& waiter, End end) {
  queue.waiting.erase(queue.waiting.iterator_to(waiter));
  --held_;
  count_.held_now.subtract();
  if (end == End::let_go) ++queue.out;
  if (end == End::late) count_.held_late.add();
  if (end == End::left) count_.held_left.add();
  apps_.remove(queue.app);
  waiter.end = end;
  waiter.news.tell();
}

std::size_t Holding::most_at(const LiveRoute& route) const {
  const int allowed = route.rules ? route.rules->most_per_instance() : 0;
  if (allowed <= 0) return limits_.let_out;
  return std::clamp<std::size_t>(static_cast<std::size_t>(allowed) / workers_, 1, limits_.let_out);
}

bool Holding::is_awake(const Waiter& waiter) const {
  const auto& target = waiter.guest.target;
  const auto* route = routes_ == nullptr ? nullptr : routes_->find(target.host, target.path);
  return route != nullptr && !route->backends.empty();
}

void Holding::let_go(Queue& queue) {
  while (!queue.waiting.empty()) {
    auto& first = queue.waiting.front();
    const auto& target = first.guest.target;
    const auto* route = routes_ == nullptr ? nullptr : routes_->find(target.host, target.path);
    // One whose host has moved to another application waits for that one, if it sleeps.
    if (route != nullptr && route->app_id == queue.app) {
      if (sleeps(*route)) return;
      // Without an instance there is none to be spared: they are told so.
      const auto at_once = std::min(route->backends.size() * most_at(*route),
                                    std::max<std::size_t>(limits_.per_app() / workers_, 1));
      if (!route->backends.empty() && queue.out >= at_once) return;
    }
    finish(queue, first, End::let_go);
  }
}

void Holding::forget_if_empty(Queue& queue) {
  if (queue.waiting.empty() && queue.out == 0) queues_.erase(queue.app);
}

void Holding::use(const LiveRoutes* routes) {
  routes_ = routes;
  for (auto& [app, queue] : queues_) let_go(*queue);
}

void Holding::sweep(SteadyTime now) {
  for (auto at = queues_.begin(); at != queues_.end();) {
    auto& queue = *at++->second;
    for (auto it = queue.waiting.begin(); it != queue.waiting.end();) {
      auto& waiter = *it++;
      const auto& visitor = waiter.guest.visitor;
      if (visitor.left() || visitor.connection().hung_up())
        finish(queue, waiter, End::left);
      else if (now >= waiter.by)
        finish(queue, waiter, is_awake(waiter) ? End::let_go : End::late);
    }
    forget_if_empty(queue);
  }
}

}  // namespace karreg::proxy
