#include "reverse-proxy/certificate_follower.hpp"

#include <utility>

namespace karreg::proxy {

bool CertificateFollower::take(const wire::CertificateUpdate& update) {
  // Doubled or late.
  if (update.version <= version_) return false;
  if (update.base != version_) {
    wants_snapshot_ = true;
    return false;
  }
  for (const auto& certificate : update.upserts) certificates_[certificate.id] = certificate;
  for (const auto& id : update.removes) certificates_.erase(id);
  challenges_ = update.challenges;
  version_ = update.version;
  return true;
}

bool CertificateFollower::take(const wire::CertificateSnapshot& snapshot) {
  if (snapshot.version < version_ && snapshot.for_version != version_) {
    wants_snapshot_ = true;
    return false;
  }
  wants_snapshot_ = false;
  certificates_.clear();
  for (const auto& certificate : snapshot.certificates) certificates_[certificate.id] = certificate;
  challenges_ = snapshot.challenges;
  version_ = snapshot.version;
  return true;
}

void CertificateFollower::restore(wire::CertificateSnapshot saved) {
  for (auto& certificate : saved.certificates) {
    auto id = certificate.id;
    certificates_.insert_or_assign(std::move(id), std::move(certificate));
  }
  version_ = saved.version;
}

wire::CertificateSnapshot CertificateFollower::to_save() const {
  wire::CertificateSnapshot saved;
  saved.version = version_;
  saved.certificates.reserve(certificates_.size());
  for (const auto& [id, certificate] : certificates_) saved.certificates.push_back(certificate);
  return saved;
}

}  // namespace karreg::proxy
