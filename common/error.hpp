#pragma once
/// Errors as values. `Result<T>` is what every function returns that can fail for a reason a person
/// may have to know.

#include <expected>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

namespace karreg {

/// What went wrong, coarse enough to choose an HTTP status and an exit code (one table: error.cpp).
enum class ErrorKind {
  invalid,       ///< the input is wrong; 400, exit 2
  unauthorized,  ///< no or wrong credentials; 401, exit 3
  forbidden,     ///< known, but not allowed; 403, exit 4
  not_found,     ///< no such thing; 404, exit 5
  conflict,      ///< the state of the thing forbids it; 409, exit 6
  too_large,     ///< over a documented limit; 413, exit 7
  timeout,       ///< a deadline passed; 504, exit 8
  unavailable,   ///< a part we depend on does not answer, try again; 503, exit 9
  internal,      ///< a bug or a lost resource; 500, exit 70
};

/// HTTP status code of @p kind.
int http_status(ErrorKind kind);
/// Process exit code of @p kind.
int exit_code(ErrorKind kind);
/// The name of the enumerator, as used in logs.
std::string_view to_string(ErrorKind kind);

/// One failure: a kind, a sentence for a person that says what was wrong, where, and the way out,
/// and where in our code it arose.
class Error {
 public:
  Error(ErrorKind kind, std::string message,
        std::source_location where = std::source_location::current())
      : kind_(kind), message_(std::move(message)), where_(where) {}

  ErrorKind kind() const { return kind_; }
  const std::string& message() const { return message_; }
  const std::source_location& where() const { return where_; }

  /// The same error seen from further out: "@p context: message".
  Error within(std::string_view context) const;

 private:
  ErrorKind kind_;
  std::string message_;
  std::source_location where_;
};

/// A value or an Error; dropping one is a compile error.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Result(const Error& error) : std::expected<T, Error>(std::unexpected(error)) {}
  Result(Error&& error) : std::expected<T, Error>(std::unexpected(std::move(error))) {}
};

/// Success without a value.
inline Result<void> ok() {
  return {};
}

/// Calls std::terminate with @p what when @p holds is false: for what cannot be, never for what a
/// peer, tenant or disk can do.
void invariant(bool holds, const char* what,
               std::source_location where = std::source_location::current());

}  // namespace karreg

/// Checks what cannot be false; always on.
#define KARREG_INVARIANT(condition) ::karreg::invariant(static_cast<bool>(condition), #condition)
