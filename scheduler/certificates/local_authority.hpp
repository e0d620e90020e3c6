#pragma once
/// The platform's own certificate authority, for names that no other one vouches for: it is made
/// once, and confined to its domains, so that whoever trusts it trusts it for nothing else.

#include <filesystem>
#include <string>
#include <vector>

#include "common/crypto/certificate.hpp"

namespace karreg::scheduler::certificates {

struct LocalAuthority {
  std::string root;  ///< PEM
  std::string key;   ///< PEM; sealed wherever it is kept
};
/// Holds for ten years from @p now on.
LocalAuthority make_local_authority(const std::vector<std::string>& domains, crypto::Seconds now);

struct LocalCertificate {
  std::string chain;  ///< PEM
  std::string key;    ///< PEM
};
/// For @p name alone, for 90 days: clients take no "*.localhost". Error `invalid`: the authority
/// cannot be read.
Result<LocalCertificate> issue_locally(const LocalAuthority& authority, const std::string& name,
                                       crypto::Seconds now);

/// Writes root.pem and a README on how to trust it into @p folder, unless they are there already.
/// Error `unavailable` names the file.
Result<void> show_root(const LocalAuthority& authority, const std::filesystem::path& folder);

}  // namespace karreg::scheduler::certificates
