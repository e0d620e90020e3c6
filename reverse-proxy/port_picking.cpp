#include "reverse-proxy/port_picking.hpp"

#include <algorithm>
#include <boost/container/small_vector.hpp>

#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

PortPicked pick_for_port(Worker& worker, std::uint16_t port, std::span<const Backend* const> tried,
                         const ChooseForPort& choose, std::string& app, InFlight& at) {
  const auto& routes = worker.routes();
  const auto* route = routes ? routes->find_tcp(port) : nullptr;
  if (route == nullptr) return PortPicked::no_route;
  app = route->app_id;
  if (route->backends.empty()) return PortPicked::nothing_serves;
  boost::container::small_vector<Candidate, 16> candidates;
  std::size_t in_hand = 0;
  const auto now = worker.loop().now();
  for (std::size_t i = 0; i < route->backends.size(); ++i) {
    const auto& backend = route->backends[i];
    Candidate candidate;
    candidate.in_flight = backend->in_flight();
    candidate.aside = backend->aside(now);
    candidate.tried = std::ranges::find(tried, backend.get()) != tried.end();
    if (!route->weights.empty()) candidate.weight = route->weights[i];
    in_hand += static_cast<std::size_t>(std::max(candidate.in_flight, 0));
    candidates.push_back(candidate);
  }
  // An application whose clients never leave would take all connections, and all others with it.
  if (in_hand >= worker.limits().per_app()) return PortPicked::app_busy;
  for (;;) {
    const auto chosen = choose({candidates.data(), candidates.size()}, *route);
    if (!chosen) return PortPicked::all_failed;
    const auto& backend = route->backends[*chosen];
    auto& candidate = candidates[*chosen];
    // Of those that come after its time aside, one tries it out.
    if (candidate.aside || backend->admits(now, worker.limits().aside)) {
      (void)at.enter(backend, 0, false);
      return PortPicked::instance;
    }
    candidate.aside = true;
  }
}

}  // namespace karreg::proxy
