#pragma once
/// Brings the certificates of a folder to the workers, and again whenever they change.

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

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

 private:
  void bring();
  void watch();

  Proxy& proxy_;
  tls::CertificateFolder folder_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread watcher_;
};

}  // namespace karreg::proxy
