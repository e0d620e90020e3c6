#pragma once
/// Which versions a manifest accepts: the ranges that package managers write, as far as they choose
/// a runtime.
///
/// Alternatives are separated by "||" ("|" for Composer), conditions by white space or commas:
/// ">=18 <21", "^20.1", "~3.2", "~> 3.2.1", "~=3.11", "3.x", "3.*", "1.2 - 2.3", "==3.11.*",
/// "!=3.9". Sources: node-semver's README (ranges), PEP 440 (version specifiers), Composer's
/// "Versions and constraints", RubyGems' "Pessimistic version constraint".

#include <array>
#include <string_view>
#include <vector>

#include "common/error.hpp"

namespace karreg::builder {

/// What "~1.2" means: npm's up to 1.3, Composer's up to 2.0.
enum class Tilde { next_minor, next_major };

class VersionRange {
 public:
  /// Error `invalid`: the text is no range; the message quotes it.
  static Result<VersionRange> parse(std::string_view text, Tilde tilde = Tilde::next_minor);

  /// Whether some release of the line @p version ("20", "3.13", "8.4.2") is accepted.
  bool allows(std::string_view version) const;

 private:
  using Numbers = std::array<long, 3>;
  /// Releases from the first, below the second.
  struct Span {
    Numbers from;
    Numbers below;
  };
  static constexpr long endless = 1'000'000'000;
  static constexpr Span everything = {{0, 0, 0}, {endless, 0, 0}};

  struct Partial;
  static bool read(std::string_view& text, Partial& number);
  static Span line_of(const Partial& number);
  static bool narrow(Span& span, std::string_view op, const Partial& number, Tilde tilde);
  static bool narrow_all(Span& span, std::string_view conditions, Tilde tilde);

  std::vector<Span> alternatives_;
};

}  // namespace karreg::builder
