#pragma once
/// Identifiers: a prefix and a random (version 4) UUID, RFC 9562. The version nibble matters to
/// existing client software, which does not recognise 7.

#include <string>
#include <string_view>

namespace karreg::ids {

/// A random UUID, "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx". Throws std::runtime_error when the system
/// has no entropy.
std::string uuid();
/// "@p prefix" + uuid(): app_, orga_, user_, deployment_, build_, ...
std::string make(std::string_view prefix);
/// Whether @p id is @p prefix followed by a lower-case UUID of version 1-5.
bool is(std::string_view prefix, std::string_view id);
/// A text of letters and digits with at least as much entropy as @p bytes random bytes, for tokens
/// and secrets.
std::string random_token(std::size_t bytes);

}  // namespace karreg::ids
