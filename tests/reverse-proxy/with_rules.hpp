#pragma once
/// Routes with rules.

#include "common/json.hpp"
#include "common/wire/json.hpp"
#include "reverse-proxy/tls_peer.hpp"

namespace karreg::proxy::testing {

inline wire::Rules rules_of(const std::string& text) {
  const auto rules = wire::read_rules(nlohmann::json::parse(text));
  if (!rules) throw std::runtime_error(rules.error().message());
  return *rules;
}

/// The application at a.test.
inline wire::Route with_rules(const std::vector<const App*>& apps, const std::string& rules) {
  auto route = Loopback::a_route("a.test", apps);
  route.rules = wire::SharedRules(rules_of(rules));
  return route;
}

}  // namespace karreg::proxy::testing
