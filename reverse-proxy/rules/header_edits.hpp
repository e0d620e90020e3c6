#pragma once
/// Header fields that an application's rules remove, set and add. Pure.

#include <string>
#include <vector>

#include "common/wire/rules.hpp"
#include "reverse-proxy/http1/head.hpp"

namespace karreg::proxy::rules {

/// Edits of one direction. What is set or added lives as long as this does.
class HeaderEdits {
 public:
  HeaderEdits() = default;
  explicit HeaderEdits(const wire::HeaderRules& rules);
  bool empty() const { return remove_.empty() && add_.empty(); }
  /// Removes, then sets, then adds. Fields about one connection, and those that Connection names,
  /// are gone after it: a visitor could else name a field that is set here, and so have it dropped
  /// on the way.
  void apply(http1::Head& head) const;
  /// What is set or added.
  const std::vector<http1::Field>& added() const { return fields_; }

 private:
  std::vector<std::string> remove_;  ///< also those that are set
  std::vector<std::pair<std::string, std::string>> add_;
  std::vector<http1::Field> fields_;  ///< add_ as fields
};

/// The fields of a preset and what replaces them.
class SecurityFields {
 public:
  SecurityFields() = default;
  explicit SecurityFields(const wire::SecurityHeaders& rules);
  SecurityFields(SecurityFields&&) = default;
  SecurityFields& operator=(SecurityFields&&) = default;
  SecurityFields(const SecurityFields&) = delete;
  SecurityFields& operator=(const SecurityFields&) = delete;
  ~SecurityFields() = default;

  bool empty() const { return fields_.empty(); }
  /// Those that @p fields does not have yet; Strict-Transport-Security only with @p https (RFC 6797
  /// §7.2).
  void append(std::vector<http1::Field>& fields, bool https) const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

}  // namespace karreg::proxy::rules
