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
  bring();
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
  proxy_.use(look.certificates);
  log::info("certificates in use", {log::field("names", look.certificates->size())});
}

void Certificates::watch() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, look_every, [this] { return stopping_; })) bring();
}

}  // namespace karreg::proxy
