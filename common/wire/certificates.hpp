#pragma once
/// scheduler <-> proxies: the certificates that the platform got, and the challenges by which
/// certificate authorities see that a name is ours (docs/contracts.md §2).

#include <cstdint>
#include <string>
#include <vector>

#include "common/json.hpp"

namespace karreg::wire {

/// A chain that every proxy shows to visitors.
struct ServedCertificate {
  std::string id;          ///< "cert_<uuid>"; another chain of the same name may come under it
  std::string chain;       ///< PEM: the certificate, then those between it and the root
  std::string sealed_key;  ///< private key (PEM), sealed by Vault::for_certificates(), context = id
  /// That it is shown for; empty: all names in it. An owner may bring one that names hosts of
  /// others.
  std::vector<std::string> hosts;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(ServedCertificate, id, chain, sealed_key, hosts)
  bool operator==(const ServedCertificate&) const = default;
};

/// What a certificate authority will ask the proxies for (RFC 8555 §8.3, RFC 8737).
struct AcmeChallenge {
  std::string kind;   ///< "http-01" or "tls-alpn-01"
  std::string host;   ///< lower case, no port
  std::string token;  ///< of http-01: the last segment of the path
  std::string key_authorization;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(AcmeChallenge, kind, host, token, key_authorization)
  bool operator==(const AcmeChallenge&) const = default;
};

/// The whole set as of @c version, for a proxy that reported @c for_version: only that one may go
/// back to an older set than it has.
struct CertificateSnapshot {
  std::uint64_t version = 0;
  std::vector<ServedCertificate> certificates;
  std::vector<AcmeChallenge> challenges;
  std::uint64_t for_version = 0;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(CertificateSnapshot, version, certificates,
                                              challenges, for_version)
};

/// What changed from @c base to @c version; the challenges are all there are, since they are few.
/// Applies only to a set of version @c base.
struct CertificateUpdate {
  std::uint64_t base = 0;
  std::uint64_t version = 0;
  std::vector<ServedCertificate> upserts;
  std::vector<std::string> removes;  ///< ids
  std::vector<AcmeChallenge> challenges;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(CertificateUpdate, base, version, upserts, removes,
                                              challenges)
};

/// proxy -> scheduler: at start, after each applied version, and every 2 s.
struct CertificateReport {
  std::string proxy_id;
  std::uint64_t version = 0;    ///< that all workers use; 0: none yet
  bool wants_snapshot = false;  ///< the last update did not fit, or nothing is there yet
  bool stopping = false;        ///< goes away on purpose: do not wait for it
  NLOHMANN_DEFINE_TYPE_INTRUSIVE_WITH_DEFAULT(CertificateReport, proxy_id, version, wants_snapshot,
                                              stopping)
};

}  // namespace karreg::wire
