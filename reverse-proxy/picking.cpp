/// Which instance gets a request: the part of an exchange that looks at all of them.

#include <algorithm>

#include "reverse-proxy/balance.hpp"
#include "reverse-proxy/exchange.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

namespace {

constexpr std::string_view sticky_name = "karreg-instance";

/// Value of the cookie @p name in a Cookie field.
std::string_view cookie(std::string_view field, std::string_view name) {
  while (!field.empty()) {
    const auto end = field.find(';');
    auto pair = field.substr(0, end);
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.starts_with(name) && pair.substr(name.size()).starts_with('='))
      return pair.substr(name.size() + 1);
    field.remove_prefix(end == std::string_view::npos ? field.size() : end + 1);
  }
  return {};
}

}  // namespace

const LiveRoute* Exchange::route() const {
  const auto& routes = worker_.routes();
  return routes ? routes->find(request_->target->host, request_->target->path) : nullptr;
}

Exchange::Picked Exchange::pick() {
  // The newest table, for every attempt: a request must not go where the platform has said no.
  const auto* route = this->route();
  if (route == nullptr) return Picked::no_route;
  request_->app = route->app_id;
  if (route->backends.empty()) return sleeps(*route) ? Picked::asleep : Picked::nothing_serves;
  const int most = route->rules ? route->rules->most_per_instance() : 0;
  boost::container::small_vector<Candidate, 16> candidates;
  std::optional<std::size_t> chosen;
  std::size_t in_hand = 0;
  int repeats = 0;
  const auto wanted = route->sticky_sessions
                          ? cookie(request_->head->find("cookie").value_or(""), sticky_name)
                          : std::string_view{};
  for (const auto& backend : route->backends) {
    Candidate candidate;
    candidate.in_flight = backend->in_flight();
    candidate.aside = backend->aside(now());
    candidate.tried = std::ranges::find(tried_, backend.get()) != tried_.end();
    candidate.full = most > 0 && candidate.in_flight >= most;
    in_hand += static_cast<std::size_t>(std::max(candidate.in_flight, 0));
    if (repeats_) repeats += backend->repeats();
    if (!wanted.empty() && wanted == backend->sticky_token && is_healthy(candidate))
      chosen = candidates.size();
    candidates.push_back(candidate);
  }
  if (!route->weights.empty())
    for (std::size_t i = 0; i < candidates.size(); ++i) candidates[i].weight = route->weights[i];
  // An application that hangs would take all connections, and all others with it.
  if (in_hand >= worker_.limits().per_app()) return Picked::app_busy;
  if (repeats_ && !may_repeat(repeats, static_cast<int>(in_hand), worker_.limits().retry_percent))
    return Picked::over_budget;
  bool comes_back = chosen.has_value();
  // Another worker may be faster; then the next best one is asked.
  for (;;) {
    if (!chosen) {
      comes_back = false;
      chosen = route->weights.empty() ? choose_backend(candidates, worker_.chance())
                                      : choose_by_weight(candidates, worker_.chance());
    }
    if (!chosen) return none_of(candidates);
    auto& candidate = candidates[*chosen];
    const auto& backend = route->backends[*chosen];
    if (!candidate.aside && !backend->admits(now(), worker_.limits().aside))
      candidate.aside = true;
    else if (at_.enter(backend, most, repeats_))
      break;
    else
      candidate.full = true;
    chosen.reset();
  }
  sticky_cookie_.clear();
  if (route->sticky_sessions && !comes_back)
    sticky_cookie_ = std::string(sticky_name) + "=" + at_->sticky_token + "; Path=" + route->path +
                     "; HttpOnly; SameSite=Lax";
  request_->instance = at_->instance_id;
  return Picked::backend;
}

Exchange::Picked Exchange::none_of(std::span<const Candidate> candidates) {
  if (std::ranges::any_of(candidates,
                          [](const Candidate& c) { return c.full && !c.tried && c.weight > 0; }))
    return Picked::instances_full;
  const bool weightless =
      std::ranges::all_of(candidates, [](const Candidate& c) { return c.weight == 0; });
  return weightless ? Picked::nothing_serves : Picked::all_failed;
}

}  // namespace karreg::proxy
