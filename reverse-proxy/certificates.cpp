#include "reverse-proxy/certificates.hpp"

#include "common/log.hpp"

namespace karreg::proxy {

namespace {
/// As said of setting proxy.certificates.
constexpr std::chrono::seconds look_every{2};
}  // namespace

Certificates::Certificates(const std::filesystem::path& folder, Proxy& proxy)
    : proxy_(proxy), folder_(folder) {
  if (folder.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    bring();
  }
  watcher_ = std::thread([this] { watch(); });
}

Certificates::~Certificates() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

void Certificates::bring() {
  const auto look = folder_.look();
  for (const auto& problem : look.problems)
    log::error("certificate not used", {log::field("why", problem)});
  if (!look.certificates) return;
  operators_ = look.certificates;
  give();
}

void Certificates::give() {
  const auto merged = std::make_shared<const tls::CertificateSet>(*operators_, platforms_);
  proxy_.use(merged);
  log::info("certificates in use", {log::field("names", merged->size())});
}

void Certificates::use_platform(std::vector<tls::CertificateSet::Shared> all) {
  const std::lock_guard lock(mutex_);
  if (all == platforms_) return;
  platforms_ = std::move(all);
  give();
}

void Certificates::watch() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, look_every, [this] { return stopping_; })) bring();
}

}  // namespace karreg::proxy
