#pragma once

#include <string>
#include <string_view>

namespace karreg::crypto {

/// "scrypt$N$r$p$salt$key" (RFC 7914; salt and key base64) of @p password with a fresh salt. Takes
/// some 50 ms and 32 MiB on purpose.
std::string hash_password(std::string_view password);
/// Whether @p password is the one of @p hash; false for a malformed hash.
bool verify_password(std::string_view password, std::string_view hash);

}  // namespace karreg::crypto
