#pragma once
/// Certificates as an operator keeps them: a folder of PEM files.

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reverse-proxy/tls/certificate.hpp"

namespace karreg::proxy::tls {

/// Each file NAME.pem holds a certificate, its chain and its key; NAME.pem.ocsp beside it, if it is
/// there, the OCSP response (DER) to be stapled. default.pem is for clients that name no host we
/// have a certificate for.
class CertificateFolder {
 public:
  explicit CertificateFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  struct Look {
    std::shared_ptr<const CertificateSet> certificates;  ///< nullptr: as at the last look
    std::vector<std::string> problems;                   ///< new ones, naming the file
  };
  /// What is in the folder now. A file that cannot be used any more stays in use as it was: a
  /// renewal that went wrong must not take a certificate away that still holds.
  Look look();

 private:
  struct Known {
    std::string stamp;  ///< changes with the file
    std::shared_ptr<const Certificate> certificate;
  };
  std::filesystem::path folder_;
  std::map<std::string, Known> files_;
  bool looked_ = false;
  bool unreadable_ = false;
};

}  // namespace karreg::proxy::tls
