#pragma once
/// How a proxy follows the certificates and challenges of the platform. Pure: messages in,
/// decisions out; the same rules as for routes (follower.hpp). An update applies only to the
/// version it was made for, anything else asks for the whole; a snapshot wins, unless it is older
/// than what we have and does not answer a report of the version in use.

#include <map>
#include <string>
#include <vector>

#include "common/wire/certificates.hpp"

namespace karreg::proxy {

class CertificateFollower {
 public:
  /// The broker is (again) there: what was said meanwhile is lost.
  void connected() { wants_snapshot_ = true; }
  /// Whether the set has changed: let all workers use it.
  bool take(const wire::CertificateUpdate& update);
  bool take(const wire::CertificateSnapshot& snapshot);
  /// The workers did not take the set over: start again from the whole.
  void not_used() { wants_snapshot_ = true; }
  /// A set saved before the start; serves until the scheduler speaks.
  void restore(wire::CertificateSnapshot saved);

  std::uint64_t version() const { return version_; }
  bool wants_snapshot() const { return wants_snapshot_; }
  const std::map<std::string, wire::ServedCertificate>& certificates() const {
    return certificates_;
  }
  const std::vector<wire::AcmeChallenge>& challenges() const { return challenges_; }
  /// What restore() takes: without the challenges, which are over by then.
  wire::CertificateSnapshot to_save() const;

 private:
  std::uint64_t version_ = 0;
  std::map<std::string, wire::ServedCertificate> certificates_;  ///< by id
  std::vector<wire::AcmeChallenge> challenges_;
  bool wants_snapshot_ = true;
};

}  // namespace karreg::proxy
