#include "reverse-proxy/rules/pace.hpp"

#include <algorithm>

#include "reverse-proxy/rules/visitor_key.hpp"

namespace karreg::proxy::rules {

namespace {
constexpr std::uint64_t moment_mask = (std::uint64_t{1} << 48U) - 1;
/// Attempts against other workers that change the same set; then the request passes.
constexpr int most_attempts = 8;

microseconds since_start(SteadyClock::time_point now) {
  return std::chrono::duration_cast<microseconds>(now.time_since_epoch());
}
microseconds moment_of(std::uint64_t slot) {
  return microseconds(static_cast<std::int64_t>(slot & moment_mask));
}
}  // namespace

Paced pace(const Pace& pace, microseconds full_at, microseconds now) {
  const auto next = std::max(full_at, now) + pace.each;
  const auto over = next - now - pace.burst;
  if (over > microseconds(0)) return {false, full_at, over};
  return {true, next, microseconds(0)};
}

std::optional<microseconds> AppPace::take(const Pace& pace_of_app, SteadyClock::time_point now) {
  auto full_at = full_at_.load(std::memory_order_relaxed);
  for (;;) {
    const auto paced = pace(pace_of_app, microseconds(full_at), since_start(now));
    if (!paced.passes) return paced.wait;
    if (full_at_.compare_exchange_weak(full_at, paced.full_at.count(), std::memory_order_relaxed))
      return std::nullopt;
  }
}

VisitorPaces::VisitorPaces()
    : secret_(fresh_secret()), sets_(std::make_unique<std::array<Set, sets>>()) {}

std::optional<microseconds> VisitorPaces::take(const Pace& pace_of_one, std::uint64_t key,
                                               SteadyClock::time_point now) {
  auto& slots = (*sets_)[key % sets].slots;
  // 0 is a slot that nobody has had.
  const auto tag = std::max<std::uint64_t>(key >> 48U, 1) << 48U;
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    Slot* slot = nullptr;
    std::uint64_t seen = 0;
    bool own = false;
    for (auto& each : slots) {
      const auto value = each.load(std::memory_order_relaxed);
      own = value != 0 && (value & ~moment_mask) == tag;
      if (slot == nullptr || own || moment_of(value) < moment_of(seen)) {
        slot = &each;
        seen = value;
      }
      if (own) break;
    }
    const auto full_at = own ? moment_of(seen) : microseconds(0);
    const auto paced = pace(pace_of_one, full_at, since_start(now));
    if (!paced.passes) return paced.wait;
    const auto fresh = tag | (static_cast<std::uint64_t>(paced.full_at.count()) & moment_mask);
    if (slot->compare_exchange_strong(seen, fresh, std::memory_order_relaxed)) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace karreg::proxy::rules
