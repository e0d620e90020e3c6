#pragma once
/// Certificates of an application's domains.

#include <cstdint>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <vector>

#include "api/core/model.hpp"
#include "common/crypto/certificate.hpp"
#include "common/crypto/vault.hpp"

namespace karreg::api {

/// What visitors of a domain are shown by https, and what is being done about it.
struct DomainCertificate {
  std::string host;
  /// "issued"; "expired"; "ordering"; "failing": the last order failed, see @c error; "waiting": it
  /// will be ordered; "none": nobody has ordered one.
  std::string state = "none";
  std::string origin;  ///< "acme", "local", "uploaded"; empty: none
  std::optional<std::int64_t> not_after_ms;
  std::string error;  ///< why the last order failed; also while an older certificate still holds
  std::optional<std::int64_t> next_try_ms;
};

struct UploadedCertificate {
  std::string id;
  std::vector<std::string> names;  ///< in it
  std::vector<std::string> hosts;  ///< of the application, that it is shown for
  std::int64_t not_before_ms = 0;
  std::int64_t not_after_ms = 0;
};

/// One for each host of @p app, in its order.
std::vector<DomainCertificate> certificates_of_domains(pqxx::work& work, const App& app);
std::vector<UploadedCertificate> uploaded_certificates(pqxx::work& work, const std::string& app_id);

/// Shows @p chain (PEM, the certificate first) for those hosts of @p app that it names, from soon
/// on, in place of one with the same names that was uploaded before. Errors: `invalid` says what is
/// wrong with @p chain or @p key, `conflict` when the application has too many.
Result<UploadedCertificate> upload_certificate(pqxx::work& work, const crypto::Vault& vault,
                                               const App& app, std::string_view chain,
                                               std::string_view key);
/// Error `not_found`.
Result<void> remove_certificate(pqxx::work& work, const std::string& app_id, const std::string& id);

}  // namespace karreg::api
