#include "common/crypto/password.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <stdexcept>
#include <vector>

#include "common/crypto/digest.hpp"

namespace karreg::crypto {

namespace {
// OWASP's advice for scrypt: N = 2^15, r = 8, p = 3 needs 32 MiB.
constexpr std::uint64_t cost = 32768;
constexpr std::uint64_t block = 8;
constexpr std::uint64_t lanes = 3;
constexpr std::string_view prefix = "scrypt$32768$8$3$";

std::string derive(std::string_view password, const std::string& salt) {
  std::array<unsigned char, 32> key{};
  if (EVP_PBE_scrypt(password.data(), password.size(),
                     reinterpret_cast<const unsigned char*>(salt.data()), salt.size(), cost, block,
                     lanes, 128UL << 20U, key.data(), key.size()) != 1)
    throw std::runtime_error("OpenSSL failed: scrypt");
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}
}  // namespace

std::string hash_password(std::string_view password) {
  std::array<unsigned char, 16> salt{};
  if (RAND_bytes(salt.data(), static_cast<int>(salt.size())) != 1)
    throw std::runtime_error("the system's random generator gave no bytes");
  const std::string salt_text(reinterpret_cast<const char*>(salt.data()), salt.size());
  return std::string(prefix) + base64_encode(salt_text) + "$" +
         base64_encode(derive(password, salt_text));
}

bool verify_password(std::string_view password, std::string_view hash) {
  if (!hash.starts_with(prefix)) return false;
  hash.remove_prefix(prefix.size());
  const auto dollar = hash.find('$');
  if (dollar == std::string_view::npos) return false;
  const auto salt = base64_decode(hash.substr(0, dollar));
  const auto key = base64_decode(hash.substr(dollar + 1));
  return salt && key && equal_in_constant_time(derive(password, *salt), *key);
}

}  // namespace karreg::crypto
