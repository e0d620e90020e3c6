#include "reverse-proxy/balance.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace karreg::proxy {

namespace {

constexpr std::size_t look_at_all = 8;

/// The better of two indices, nothing counting as worst.
std::optional<std::size_t> better(std::span<const Candidate> candidates,
                                  std::optional<std::size_t> a, std::size_t b) {
  if (!a) return b;
  return candidates[b].in_flight < candidates[*a].in_flight ? b : a;
}

/// The least loaded one that is @p usable, from a random start on.
template <class Usable>
std::optional<std::size_t> least_loaded(std::span<const Candidate> candidates, std::uint64_t chance,
                                        Usable usable) {
  const std::size_t n = candidates.size();
  const std::size_t start = static_cast<std::size_t>(chance % n);
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t at = (start + i) % n;
    if (usable(candidates[at])) best = better(candidates, best, at);
  }
  return best;
}

/// By weight among those @p usable; nothing when none of them has any.
template <class Usable>
std::optional<std::size_t> drawn(std::span<const Candidate> candidates, std::uint64_t chance,
                                 Usable usable) {
  std::uint64_t all = 0;
  for (const auto& each : candidates)
    if (usable(each)) all += static_cast<std::uint64_t>(each.weight);
  if (all == 0) return std::nullopt;
  auto draw = static_cast<std::int64_t>(((chance >> 32U) * all) >> 32U);
  int weight = 0;
  for (const auto& each : candidates) {
    if (!usable(each)) continue;
    weight = each.weight;
    draw -= weight;
    if (draw < 0) break;
  }
  return least_loaded(candidates, chance & 0xffffffffU,
                      [&](const Candidate& c) { return usable(c) && c.weight == weight; });
}

bool untried(const Candidate& candidate) {
  return !candidate.tried && !candidate.full;
}

}  // namespace

std::optional<std::size_t> choose_backend(std::span<const Candidate> candidates,
                                          std::uint64_t chance) {
  if (candidates.empty()) return std::nullopt;
  if (candidates.size() > look_at_all) {
    const auto n = candidates.size();
    const auto first = static_cast<std::size_t>((chance & 0xffffffffU) % n);
    const auto step = static_cast<std::size_t>((chance >> 32U) % (n - 1)) + 1;
    const auto second = (first + step) % n;
    const bool a = is_healthy(candidates[first]);
    const bool b = is_healthy(candidates[second]);
    if (a && b) return better(candidates, first, second);
    if (a || b) return a ? first : second;
  }
  if (auto best = least_loaded(candidates, chance, is_healthy)) return best;
  return least_loaded(candidates, chance, untried);
}

std::optional<std::size_t> choose_by_weight(std::span<const Candidate> candidates,
                                            std::uint64_t chance) {
  if (auto found = drawn(candidates, chance, is_healthy)) return found;
  return drawn(candidates, chance, untried);
}

std::optional<std::size_t> choose_by_rank(std::span<const Candidate> candidates,
                                          std::span<const std::uint64_t> ranks) {
  auto highest = [&](auto usable) {
    std::optional<std::size_t> best;
    double best_score = 0;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (!usable(candidates[i]) || candidates[i].weight == 0) continue;
      // Within (0, 1), so that the logarithm is a number below 0.
      const double part = (static_cast<double>(ranks[i] >> 12U) + 0.5) / 0x1p52;
      const double score = -candidates[i].weight / std::log(part);
      if (best && score <= best_score) continue;
      best = i;
      best_score = score;
    }
    return best;
  };
  const auto healthy = highest(is_healthy);
  return healthy ? healthy : highest(untried);
}

std::chrono::milliseconds aside_time(int times, const AsideRule& rule) {
  auto time = rule.first;
  for (int doubled = 1; doubled < times && time < rule.longest; ++doubled) time *= 2;
  return std::min(time, rule.longest);
}

bool may_repeat(int repeats, int in_hand, int percent) {
  constexpr int always = 3;
  return repeats < std::max(always, in_hand * percent / 100);
}

bool is_idempotent(std::string_view method) {
  static constexpr std::array<std::string_view, 6> methods = {"GET",     "HEAD",  "PUT",
                                                              "OPTIONS", "TRACE", "DELETE"};
  return std::ranges::find(methods, method) != methods.end();
}

bool may_retry(bool received, bool idempotent, bool replayable, int attempts, int max) {
  if (attempts >= max || !replayable) return false;
  return !received || idempotent;
}

}  // namespace karreg::proxy
