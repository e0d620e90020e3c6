#include "reverse-proxy/upstream_pool.hpp"

#include <algorithm>

namespace karreg::proxy {

std::unique_ptr<Connection> UpstreamPool::take(const Backend& backend, SteadyTime now,
                                               For request) {
  const auto found = idle_.find(&backend);
  if (found == idle_.end()) return nullptr;
  auto& idle = found->second.idle;
  const auto oldest = request == For::once ? std::min(max_idle_, fresh_for) : max_idle_;
  for (std::size_t at = idle.size(); at-- > 0;) {
    const auto age = now - idle[at].since;
    // Those before are older.
    if (age >= oldest) return nullptr;
    if (request == For::once && !idle[at].outlived && age < outlives_after) continue;
    auto connection = std::move(idle[at].connection);
    idle.erase(idle.begin() + static_cast<std::ptrdiff_t>(at));
    const bool quiet = request == For::once ? connection->quiet_for_certain() : connection->quiet();
    if (quiet) return connection;
  }
  return nullptr;
}

void UpstreamPool::put(const std::shared_ptr<Backend>& backend,
                       std::unique_ptr<Connection> connection, SteadyTime now, bool outlived) {
  if (backend->retired()) return;
  auto& entry = idle_[backend.get()];
  entry.backend = backend;
  if (entry.idle.size() >= per_backend_) entry.idle.erase(entry.idle.begin());
  entry.idle.push_back({std::move(connection), now, outlived});
}

void UpstreamPool::sweep(SteadyTime now) {
  for (auto it = idle_.begin(); it != idle_.end();) {
    auto& [backend, idle] = it->second;
    if (backend->retired()) idle.clear();
    const auto young =
        std::ranges::find_if(idle, [&](const Idle& i) { return now - i.since < max_idle_; });
    idle.erase(idle.begin(), young);
    it = idle.empty() ? idle_.erase(it) : std::next(it);
  }
}

std::size_t UpstreamPool::size() const {
  std::size_t total = 0;
  for (const auto& [backend, entry] : idle_) total += entry.idle.size();
  return total;
}

}  // namespace karreg::proxy
