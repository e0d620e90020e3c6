#include "reverse-proxy/rules/registry.hpp"

#include <algorithm>

namespace karreg::proxy::rules {

std::shared_ptr<const AppRules> Registry::get(const std::string& app_id,
                                              const wire::SharedRules& rules) {
  if (!rules) return nullptr;
  // A table written by hand need not name them; they are not all one.
  if (app_id.empty()) return std::make_shared<const AppRules>(app_id, rules, nullptr);
  if (known_.size() >= look_at_) {
    std::erase_if(known_, [](const auto& each) { return each.second.expired(); });
    look_at_ = std::max<std::size_t>(64, known_.size() * 2);
  }
  auto& known = known_[app_id];
  const auto before = known.lock();
  if (before && before->source() == rules) return before;
  auto fresh = std::make_shared<const AppRules>(app_id, rules, before.get());
  known = fresh;
  return fresh;
}

}  // namespace karreg::proxy::rules
