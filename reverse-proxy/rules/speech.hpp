#pragma once

#include <memory>
#include <string>

#include "common/wire/rules.hpp"
#include "reverse-proxy/tls/client_context.hpp"

namespace karreg::proxy::rules {

/// How the instances of an application are spoken to, when that is not HTTP/1.1 in clear.
/// Immutable, shared by all workers.
class Speech {
 public:
  /// What @p rule says; what @p before has, when that was made of the same; nullptr: HTTP/1.1 in
  /// clear.
  static std::shared_ptr<const Speech> of(const wire::InstanceRule& rule,
                                          const std::shared_ptr<const Speech>& before);
  explicit Speech(const wire::InstanceRule& rule);

  bool http2() const { return http2_; }
  /// nullptr: in clear.
  const tls::ClientContext* tls() const { return tls_.get(); }
  /// The name that an instance is called by in the handshake, for a request to @p host.
  std::string_view name_for(std::string_view host) const {
    return rule_.name.empty() ? host : std::string_view(rule_.name);
  }

 private:
  const wire::InstanceRule rule_;
  bool http2_;
  std::unique_ptr<const tls::ClientContext> tls_;
};

}  // namespace karreg::proxy::rules
