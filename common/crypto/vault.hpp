#pragma once
/// Secrets at rest: AES-256-GCM (NIST SP 800-38D) under the platform's key.

#include <string>
#include <string_view>

#include "common/error.hpp"

namespace karreg::crypto {

/// Seals texts so that they can stand in the database. The context (an id) is bound to the sealed
/// text: it opens in no other place.
class Vault {
 public:
  /// Reads the key (64 hexadecimal digits) from @p key_file. Error `not_found`, with the way out,
  /// when there is no such file, `invalid` for one of another form, `internal` when it cannot be
  /// read.
  static Result<Vault> open_existing(const std::string& key_file);
  /// The same, but makes a key (mode 0600) when there is none. Only for a platform that has sealed
  /// nothing yet: what was sealed under a lost key opens under no other. Error `internal` when it
  /// cannot be made.
  static Result<Vault> open_or_create(const std::string& key_file);

  Vault(const Vault&) = default;
  Vault(Vault&&) = default;
  Vault& operator=(const Vault&) = delete;
  Vault& operator=(Vault&&) = delete;
  /// Leaves no copy of its key in memory.
  ~Vault();

  /// For the private keys of certificates: under a key derived from this one (HKDF, RFC 5869), so
  /// that a proxy, which opens them, need not hold what opens all secrets of the platform.
  Vault for_certificates() const;

  /// base64 of nonce, ciphertext and tag.
  std::string seal(std::string_view plain, std::string_view context) const;
  /// Error `invalid` when @p sealed was changed, or sealed under another key or context.
  Result<std::string> open(std::string_view sealed, std::string_view context) const;

 private:
  explicit Vault(std::string key) : key_(std::move(key)) {}
  std::string key_;
};

}  // namespace karreg::crypto
