#pragma once
/// Routes with rules, and a proxy that speaks TLS, for tests of rules.

#include <nlohmann/json.hpp>

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

/// With a certificate for a.test, and HTTP/2.
struct SecureLoopback : Loopback {
  explicit SecureLoopback(ProxyOptions options = {}) : Loopback(secured(std::move(options))) {
    const auto certificate = tls::Certificate::from_pem(bundle({"a.test"}));
    if (!certificate) throw std::runtime_error(certificate.error().message());
    proxy.use(std::make_shared<tls::CertificateSet>(
        std::vector<tls::CertificateSet::Shared>{*certificate}, nullptr));
  }
  static ProxyOptions secured(ProxyOptions options) {
    options.tls_listen = Endpoint{"127.0.0.1", 0};
    return options;
  }
};

}  // namespace karreg::proxy::testing
