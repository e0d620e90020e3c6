#include "reverse-proxy/rules/in_hand.hpp"

#include <algorithm>

#include "reverse-proxy/rules/visitor_key.hpp"

namespace karreg::proxy::rules {

bool AppInHand::enter(int most) {
  if (taken_.fetch_add(1, std::memory_order_relaxed) < most) return true;
  leave();
  return false;
}

VisitorsInHand::VisitorsInHand()
    : secret_(fresh_secret()), rows_(std::make_unique<std::array<Row, 2>>()) {}

bool VisitorsInHand::enter(int most, std::uint64_t key) {
  const int a = first(key).fetch_add(1, std::memory_order_relaxed);
  const int b = second(key).fetch_add(1, std::memory_order_relaxed);
  if (std::min(a, b) < most) return true;
  leave(key);
  return false;
}

void VisitorsInHand::leave(std::uint64_t key) {
  first(key).fetch_sub(1, std::memory_order_relaxed);
  second(key).fetch_sub(1, std::memory_order_relaxed);
}

bool Places::enter(const std::shared_ptr<AppInHand>& app, int most) {
  if (!app->enter(most)) return false;
  app_ = app;
  return true;
}

bool Places::enter(const std::shared_ptr<VisitorsInHand>& visitors, int most, std::uint64_t key) {
  if (!visitors->enter(most, key)) return false;
  visitors_ = visitors;
  key_ = key;
  return true;
}

void Places::leave() {
  if (app_) app_->leave();
  if (visitors_) visitors_->leave(key_);
  app_.reset();
  visitors_.reset();
}

}  // namespace karreg::proxy::rules
