#include "reverse-proxy/rules/header_edits.hpp"

#include <algorithm>
#include <map>

#include "common/text.hpp"
#include "reverse-proxy/http1/forward.hpp"

namespace karreg::proxy::rules {

using http1::Field;

HeaderEdits::HeaderEdits(const wire::HeaderRules& rules) : remove_(rules.remove) {
  for (const auto& [name, value] : rules.set) {
    remove_.push_back(name);
    add_.emplace_back(name, value);
  }
  for (const auto& [name, value] : rules.add) add_.emplace_back(name, value);
  for (const auto& [name, value] : add_) fields_.push_back({name, value});
}

void HeaderEdits::apply(http1::Head& head) const {
  if (empty()) return;
  http1::drop_connection_fields(head);
  std::erase_if(head.fields, [this](const Field& field) {
    return std::ranges::any_of(
        remove_, [&](const std::string& name) { return text::iequals(name, field.name); });
  });
  head.fields.insert(head.fields.end(), fields_.begin(), fields_.end());
}

SecurityFields::SecurityFields(const wire::SecurityHeaders& rules) {
  using Preset = std::map<std::string, std::string>;
  static const Preset basic{{"X-Content-Type-Options", "nosniff"},
                            {"X-Frame-Options", "SAMEORIGIN"},
                            {"Referrer-Policy", "strict-origin-when-cross-origin"}};
  static const Preset strict{
      {"Strict-Transport-Security", "max-age=31536000; includeSubDomains"},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Referrer-Policy", "no-referrer"},
      {"Content-Security-Policy",
       "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; "
       "object-src 'none'"},
      {"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
      {"Cross-Origin-Opener-Policy", "same-origin"}};
  auto wanted = rules.preset == "strict" ? strict : rules.preset == "basic" ? basic : Preset();
  for (const auto& [name, value] : rules.replace) wanted[name] = value;
  for (auto& [name, value] : wanted)
    if (!value.empty()) fields_.emplace_back(name, std::move(value));
}

void SecurityFields::append(std::vector<Field>& fields, bool https) const {
  for (const auto& [name, value] : fields_) {
    if (!https && name == "Strict-Transport-Security") continue;
    const bool there = std::ranges::any_of(
        fields, [&](const Field& field) { return text::iequals(field.name, name); });
    if (!there) fields.push_back({name, value});
  }
}

}  // namespace karreg::proxy::rules
