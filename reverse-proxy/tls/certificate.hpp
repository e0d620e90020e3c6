#pragma once
/// Certificates and who they are for. Immutable once made: workers share them.

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/error.hpp"
#include "common/handle.hpp"

namespace karreg::proxy::tls {

/// A chain and its key.
class Certificate {
 public:
  /// @p pem: the certificate, those between it and the root, and its key, in any order (as certbot,
  /// HAProxy and others keep them); the first certificate is the one whose key it is. @p ocsp: its
  /// OCSP response (DER, RFC 6960) to be stapled, or empty. @p hosts: that it is shown for, if not
  /// for all names in it. Error `invalid` says what is wrong: no
  /// certificate, no key, a key of another certificate, or no name.
  static Result<std::shared_ptr<const Certificate>> from_pem(std::string_view pem,
                                                             std::string ocsp = {},
                                                             std::vector<std::string> hosts = {});

  /// One that proves to a certificate authority that @p host is ours (RFC 8737 §3): it signs
  /// itself, and holds @p digest, the raw SHA-256 of the key authorization. Error `invalid`: @p
  /// host is no name.
  static Result<std::shared_ptr<const Certificate>> for_challenge(const std::string& host,
                                                                  const std::string& digest);

  /// That it is shown for: DNS names of its subjectAltName, in lower case: "a.example.com",
  /// "*.example.com"; or hosts that were given.
  const std::vector<std::string>& names() const { return names_; }
  std::chrono::system_clock::time_point not_before() const { return not_before_; }
  std::chrono::system_clock::time_point not_after() const { return not_after_; }
  const std::string& ocsp() const { return ocsp_; }
  /// Lets @p ssl prove with it who we are.
  bool use_for(SSL* ssl) const;

 private:
  Certificate() = default;

  Handle<X509, X509_free> leaf_;
  std::vector<Handle<X509, X509_free>> others_;
  Handle<EVP_PKEY, EVP_PKEY_free> key_;
  std::vector<std::string> names_;
  std::chrono::system_clock::time_point not_before_;
  std::chrono::system_clock::time_point not_after_;
  std::string ocsp_;
};

/// What a worker looks in when a client has named a host (SNI, RFC 6066 §3).
class CertificateSet {
 public:
  using Shared = std::shared_ptr<const Certificate>;

  CertificateSet() = default;
  /// Of several for one name the one that lasts longest wins, of those that are valid already if
  /// there are some; one that becomes valid later is looked at in the next set. @p fallback is for
  /// clients that name no host, or one that nobody here has; it may be nullptr.
  CertificateSet(const std::vector<Shared>& all, Shared fallback);
  /// @p first, and @p more for the names that it does not have, also not by "*.".
  CertificateSet(const CertificateSet& first, const std::vector<Shared>& more);

  /// For the name itself, else for all of its domain ("*." covers one label), else the fallback;
  /// nullptr when there is none. @p name in any case, may be empty.
  Shared find(std::string_view name) const;
  std::size_t size() const { return by_name_.size(); }
  bool empty() const { return by_name_.empty() && !fallback_; }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  void add(const std::vector<Shared>& all);
  bool has(const std::string& name) const { return look_up(name) != nullptr; }
  const Shared* look_up(const std::string& lower) const;

  std::unordered_map<std::string, Shared, Hash, std::equal_to<>> by_name_;
  Shared fallback_;
};

}  // namespace karreg::proxy::tls
