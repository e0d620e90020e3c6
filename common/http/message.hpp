#pragma once
/// HTTP messages as plain values, free of the library that reads and writes them.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/error.hpp"

namespace karreg::http {

/// Header fields in order; names compare without case (RFC 9110 §5.1).
class Headers {
 public:
  using Entry = std::pair<std::string, std::string>;
  Headers() = default;
  Headers(std::initializer_list<Entry> entries) : entries_(entries) {}

  /// First value of @p name.
  std::optional<std::string_view> get(std::string_view name) const;
  void add(std::string name, std::string value) {
    entries_.emplace_back(std::move(name), std::move(value));
  }
  /// Replaces all of @p name.
  void set(std::string_view name, std::string value);
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

/// Decoded query parameters in order, duplicates kept.
using Query = std::vector<std::pair<std::string, std::string>>;

/// RFC 3986 percent-decoding; '+' becomes a space when @p plus_is_space (query strings). Nothing
/// when an escape is malformed or decodes to NUL, or the result is no UTF-8.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
/// RFC 3986 percent-encoding of all but unreserved characters, upper-case hexadecimal.
std::string percent_encode(std::string_view text);
/// "a=1&b=2" into pairs; malformed escapes are kept as they stand.
Query parse_query(std::string_view text);

/// "http://host:port/path?query" taken apart. Error `invalid` with what is wrong.
struct Url {
  std::string scheme;  ///< http or https
  std::string host;
  std::string port;    ///< as text; the scheme's own when absent
  std::string target;  ///< path and query, at least "/"
};
Result<Url> parse_url(std::string_view text);

/// Standard phrase of @p status ("Not Found"), "Unknown" for others.
std::string_view reason_phrase(int status);

/// {"id":status,"message":...,"type":"error"} with its content type.
Response error_response(int status, std::string_view message);
Response error_response(const Error& error);
/// What of @p error is for whoever asked. The text of an `internal` one is for the operator: it
/// goes into the log under a number, and only the number is told.
std::string public_message(const Error& error);
/// A JSON answer; @p body is JSON text.
Response json_response(int status, std::string body);

}  // namespace karreg::http
