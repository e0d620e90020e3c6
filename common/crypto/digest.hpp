#pragma once
/// Digests and encodings over OpenSSL.

#include <openssl/evp.h>

#include <string>
#include <string_view>

#include "common/error.hpp"
#include "common/handle.hpp"

namespace karreg::crypto {

/// SHA-256 (FIPS 180-4) of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  void add(std::string_view bytes);
  /// Lower-case hexadecimal; nothing may be added after it.
  std::string hex();

 private:
  Handle<EVP_MD_CTX, EVP_MD_CTX_free> context_;
};

/// SHA-256 of @p bytes, lower-case hexadecimal.
std::string sha256_hex(std::string_view bytes);
/// SHA-256 of a file, read in pieces. Error `not_found` or `internal` with the path.
Result<std::string> sha256_file(const std::string& path);
/// HMAC-SHA512 (RFC 2104), raw 64 bytes.
std::string hmac_sha512(std::string_view key, std::string_view message);
/// RFC 4648 §4, with padding.
std::string base64_encode(std::string_view bytes);
/// Error `invalid` for anything that is not base64 with padding.
Result<std::string> base64_decode(std::string_view text);
/// Comparison whose time does not depend on where the texts differ.
bool equal_in_constant_time(std::string_view a, std::string_view b);
std::string to_hex(std::string_view bytes);
Result<std::string> from_hex(std::string_view text);

}  // namespace karreg::crypto
