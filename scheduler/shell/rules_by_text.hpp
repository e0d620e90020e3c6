#pragma once

#include <map>
#include <string>

#include "common/json.hpp"
#include "common/wire/rules.hpp"

namespace karreg::scheduler {

/// Rules as the database spells them, read once for all rows that have the same: an application and
/// its routes.
class RulesByText {
 public:
  /// @p text of a jsonb column; empty: none.
  wire::SharedRules read(const std::string& text) {
    if (text.empty()) return {};
    auto [known, fresh] = known_.try_emplace(text);
    if (fresh) known->second = nlohmann::json::parse(text).get<wire::SharedRules>();
    return known->second;
  }

 private:
  std::map<std::string, wire::SharedRules> known_;
};

/// @p rules for a jsonb column; nothing: NULL.
inline std::optional<std::string> text_of(const wire::SharedRules& rules) {
  if (!rules.present()) return std::nullopt;
  return nlohmann::json(rules).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace karreg::scheduler
