#pragma once
// Certificates that tests bring.

#include <chrono>
#include <string>
#include <vector>

#include "common/crypto/certificate.hpp"

namespace karreg::test {

/// One that signs itself, and its key; PEM.
struct ACertificate {
  crypto::PrivateKey private_key = crypto::new_private_key();
  std::string key = crypto::to_pem(private_key);
  std::string chain;

  /// Good for @p hours from an hour ago on.
  explicit ACertificate(const std::vector<std::string>& names, int hours = 48) {
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    crypto::NewCertificate wish;
    wish.subject = names.front();
    wish.names = names;
    wish.not_before = now - std::chrono::hours(1);
    wish.not_after = wish.not_before + std::chrono::hours(hours);
    chain = crypto::to_pem(*crypto::make_certificate(wish, private_key, nullptr, private_key));
  }
};

}  // namespace karreg::test
