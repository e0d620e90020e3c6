#pragma once
/// SHA-256 of bytes that come in pieces.

#include <openssl/evp.h>

#include <string>
#include <string_view>

#include "common/handle.hpp"

namespace karreg::builder {

class Sha256 {
 public:
  Sha256();
  void add(std::string_view bytes);
  /// Lower-case hexadecimal; nothing may be added after it.
  std::string hex();

 private:
  Handle<EVP_MD_CTX, EVP_MD_CTX_free> context_;
};

}  // namespace karreg::builder
