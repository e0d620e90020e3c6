#include "reverse-proxy/rules/speech.hpp"

namespace karreg::proxy::rules {

Speech::Speech(const wire::InstanceRule& rule)
    : rule_(rule), http2_(rule.protocol == "h2c" || rule.protocol == "h2") {
  if (rule.protocol == "https" || rule.protocol == "h2")
    tls_ = std::make_unique<const tls::ClientContext>(
        tls::ClientContext::Wish{rule.ca, !rule.name.empty(), http2_});
}

std::shared_ptr<const Speech> Speech::of(const wire::InstanceRule& rule,
                                         const std::shared_ptr<const Speech>& before) {
  if (rule.protocol == "http1") return nullptr;
  if (before && before->rule_ == rule) return before;
  return std::make_shared<const Speech>(rule);
}

}  // namespace karreg::proxy::rules
