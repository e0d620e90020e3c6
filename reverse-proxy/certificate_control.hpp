#pragma once
/// The proxy's conversation with the scheduler about certificates: follows them and the challenges
/// of certificate authorities, reports what is used, keeps the last set in a file, sealed as it
/// came, and serves by it while the broker is away. Routes have their own (control.hpp): neither
/// waits for the other.

#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "common/broker/consumer.hpp"
#include "common/broker/publisher.hpp"
#include "common/crypto/vault.hpp"
#include "reverse-proxy/certificate_follower.hpp"
#include "reverse-proxy/certificates.hpp"
#include "reverse-proxy/proxy.hpp"

namespace karreg::proxy {

class CertificateControl {
 public:
  /// @p vault opens the keys; without one challenges are answered and no certificate of the
  /// platform is used, which the log says.
  CertificateControl(std::string proxy_id, std::filesystem::path saved, broker::Address broker,
                     std::optional<crypto::Vault> vault, Proxy& proxy, Certificates& certificates);
  ~CertificateControl();
  CertificateControl(const CertificateControl&) = delete;
  CertificateControl& operator=(const CertificateControl&) = delete;

  /// Lets the proxy serve by the set of the last run, if there is one. Before start().
  void restore();
  /// Connects, for ever; also again after stop().
  void start();
  /// Tells the scheduler that nobody has to wait for this proxy, and ends the conversation.
  void stop();

 private:
  broker::Disposition take(const broker::Delivery& delivery);
  template <class Message>
  broker::Disposition follow(const broker::Delivery& delivery, std::string_view what);
  Result<void> use(std::unique_lock<std::mutex>& lock);
  /// Brings what the follower has to the workers. Of the one thread that changes it.
  void open_certificates();
  void report_loop();
  void report(std::unique_lock<std::mutex>& lock);
  void save(std::unique_lock<std::mutex>& lock);
  void say_goodbye();

  const std::string proxy_id_;
  const std::filesystem::path saved_;
  const broker::Address broker_;
  const std::optional<crypto::Vault> vault_;
  Proxy& proxy_;
  Certificates& certificates_;

  /// A certificate, read; nullptr: it cannot be used.
  struct Opened {
    wire::ServedCertificate from;
    std::shared_ptr<const tls::Certificate> certificate;
  };
  std::map<std::string, Opened> opened_;  ///< of the thread that follows
  bool told_no_key_ = false;              ///< of the same

  std::mutex mutex_;
  std::condition_variable wake_;
  CertificateFollower follower_;
  std::uint64_t used_version_ = 0;  ///< that all workers use
  bool news_ = false;               ///< something to report at once
  bool reporting_ = false;          ///< the last report is not confirmed yet
  bool unsaved_ = false;
  bool save_failed_ = false;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point reported_at_{};
  std::chrono::steady_clock::time_point save_again_at_{};

  std::unique_ptr<broker::Publisher> publisher_;
  std::unique_ptr<broker::Consumer> consumer_;
  std::thread reporter_;
};

}  // namespace karreg::proxy
