#pragma once

#include <map>
#include <memory>
#include <string>

#include "reverse-proxy/rules/app_rules.hpp"

namespace karreg::proxy::rules {

/// Takes the rules of an application apart once for all its routes, and not again while they stay
/// the same. For one thread at a time.
class Registry {
 public:
  /// nullptr for an application without rules.
  /// What was counted by rules that are still in use goes on.
  std::shared_ptr<const AppRules> get(const std::string& app_id, const wire::SharedRules& rules);

 private:
  std::map<std::string, std::weak_ptr<const AppRules>> known_;
  std::size_t look_at_ = 64;  ///< with as many, those that are gone are forgotten
};

}  // namespace karreg::proxy::rules
