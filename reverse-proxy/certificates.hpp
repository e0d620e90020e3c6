#pragma once
/// Brings the certificates of the operator's folder and those of the platform to the workers, and
/// again whenever they change. For a host that both have one for, the operator's is shown.

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

#include "reverse-proxy/proxy.hpp"
#include "reverse-proxy/tls/certificate_folder.hpp"

namespace karreg::proxy {

class Certificates {
 public:
  /// The workers have what is in @p folder when this returns; without a folder they have none. A
  /// certificate that cannot be used is a line in the log, and leaves the others alone.
  Certificates(const std::filesystem::path& folder, Proxy& proxy);
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  /// Those of the platform are @p all from now on. Any thread.
  void use_platform(std::vector<tls::CertificateSet::Shared> all);

 private:
  /// Both under mutex_.
  void bring();
  void give();
  void watch();

  Proxy& proxy_;
  tls::CertificateFolder folder_;
  std::shared_ptr<const tls::CertificateSet> operators_ = std::make_shared<tls::CertificateSet>();
  std::vector<tls::CertificateSet::Shared> platforms_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread watcher_;
};

}  // namespace karreg::proxy
