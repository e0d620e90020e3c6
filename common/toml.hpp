#pragma once
/// TOML, of files that anybody may have written. The one place that includes toml++: its parser
/// leaves to assertions and to undefined behaviour what no text should lead to, and some texts do
/// (`[@name]`; version 3.3). Here an assertion is an error like any other, in every build.

#include <stdexcept>
#include <string>
#include <string_view>

namespace karreg {

/// Why a text is no TOML, and where.
class TomlError : public std::runtime_error {
 public:
  TomlError(const std::string& why, unsigned line, unsigned column)
      : std::runtime_error(why), line_(line), column_(column) {}
  unsigned line() const { return line_; }      ///< from 1
  unsigned column() const { return column_; }  ///< from 1

 private:
  unsigned line_;
  unsigned column_;
};

namespace detail {
/// Throws.
[[noreturn]] void toml_does_not_hold(const char* what);
}  // namespace detail

}  // namespace karreg

#ifdef NDEBUG
#define KARREG_NDEBUG_AGAIN
#undef NDEBUG
#endif
#define TOML_ASSERT(expression) \
  (static_cast<bool>(expression) ? void() : ::karreg::detail::toml_does_not_hold(#expression))
#include <toml++/impl/forward_declarations.h>
// What its questions about letters take for unreachable is reached, by é outside of quotes for
// one: the answer is no.
#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE return false
#include <toml++/impl/unicode.h>
#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE __builtin_unreachable()
#include <toml++/toml.h>
#ifdef KARREG_NDEBUG_AGAIN
#undef KARREG_NDEBUG_AGAIN
#define NDEBUG
#endif

namespace karreg {

/// @p text as a table. Throws TomlError.
toml::table parse_toml(std::string_view text);

}  // namespace karreg
