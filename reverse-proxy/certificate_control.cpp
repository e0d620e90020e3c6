#include "reverse-proxy/certificate_control.hpp"

#include <fstream>
#include <iterator>

#include "common/broker/topology.hpp"
#include "common/ids.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "reverse-proxy/durable_file.hpp"

namespace karreg::proxy {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {
/// docs/contracts.md §2: who has not reported for longer does not count.
constexpr auto report_every = 2s;
/// After a set could not be written.
constexpr auto save_again_after = 2s;
constexpr auto goodbye_time = 1s;
}  // namespace

CertificateControl::CertificateControl(std::string proxy_id, std::filesystem::path saved,
                                       broker::Address broker, std::optional<crypto::Vault> vault,
                                       Proxy& proxy, Certificates& certificates)
    : proxy_id_(std::move(proxy_id)),
      saved_(std::move(saved)),
      broker_(std::move(broker)),
      vault_(std::move(vault)),
      proxy_(proxy),
      certificates_(certificates) {}

CertificateControl::~CertificateControl() {
  stop();
}

void CertificateControl::restore() {
  std::ifstream in(saved_, std::ios::binary);
  if (!in) return;
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  auto saved = wire::from_text<wire::CertificateSnapshot>(text, saved_.string());
  if (!saved)
    return log::warn("saved certificates are not used",
                     {log::field("why", saved.error().message())});
  follower_.restore(std::move(*saved));
  open_certificates();
  used_version_ = follower_.version();
  log::info("serving by the certificates of the last run",
            {log::field("version", used_version_), log::field("certificates", opened_.size())});
}

void CertificateControl::start() {
  stopping_ = false;
  reporting_ = false;
  publisher_ = std::make_unique<broker::Publisher>(broker_);
  reporter_ = std::thread([this] { report_loop(); });
  auto connected = [this] {
    const std::lock_guard lock(mutex_);
    follower_.connected();
    news_ = true;
    wake_.notify_all();
  };
  consumer_ = std::make_unique<broker::Consumer>(
      broker_, broker::proxy_certificates_queue(proxy_id_, ids::random_token(9)),
      [this](const broker::Delivery& delivery) { return take(delivery); }, connected);
}

broker::Disposition CertificateControl::take(const broker::Delivery& delivery) {
  if (delivery.routing_key == broker::key::proxy_certificates)
    return follow<wire::CertificateUpdate>(delivery, "CertificateUpdate");
  return follow<wire::CertificateSnapshot>(delivery, "CertificateSnapshot");
}

template <class Message>
broker::Disposition CertificateControl::follow(const broker::Delivery& delivery,
                                               std::string_view what) {
  const auto message = wire::from_text<Message>(delivery.body, what);
  if (!message) {
    log::error(
        "message from the scheduler not understood",
        {log::field("key", delivery.routing_key), log::field("why", message.error().message())});
    return broker::Disposition::reject;
  }
  std::unique_lock lock(mutex_);
  if (follower_.take(*message)) {
    const auto used = use(lock);
    if (used) {
      used_version_ = follower_.version();
      unsaved_ = true;
      save_again_at_ = {};
      log::info("certificates of the platform in use",
                {log::field("version", used_version_), log::field("certificates", opened_.size()),
                 log::field("challenges", follower_.challenges().size())});
    } else {
      follower_.not_used();
      log::error("certificates not used", {log::field("why", used.error().message())});
    }
  }
  news_ = true;
  wake_.notify_all();
  return broker::Disposition::ack;
}

Result<void> CertificateControl::use(std::unique_lock<std::mutex>& lock) {
  // Only this thread changes what is followed: it may be read without the lock, which the workers'
  // pace must not hold.
  lock.unlock();
  std::vector<std::string> left_out;
  auto challenges = std::make_shared<const tls::Challenges>(follower_.challenges(), left_out);
  for (const auto& why : left_out) log::error("challenge left out", {log::field("why", why)});
  open_certificates();
  auto used = proxy_.use(challenges);
  lock.lock();
  return used;
}

void CertificateControl::open_certificates() {
  if (!vault_) {
    if (!follower_.certificates().empty() && !std::exchange(told_no_key_, true))
      log::error(
          "certificates of the platform are not used: their keys are sealed, and setting "
          "secrets.key_file names no key");
    return;
  }
  std::map<std::string, Opened> opened;
  std::vector<tls::CertificateSet::Shared> all;
  for (const auto& [id, from] : follower_.certificates()) {
    const auto before = opened_.find(id);
    Opened now{from, nullptr};
    if (before != opened_.end() && before->second.from == from) {
      now.certificate = before->second.certificate;
    } else {
      const auto key = vault_->open(from.sealed_key, id);
      const auto read = key ? tls::Certificate::from_pem(from.chain + "\n" + *key, {}, from.hosts)
                            : Result<tls::CertificateSet::Shared>(key.error());
      if (read)
        now.certificate = *read;
      else
        log::error("certificate not used",
                   {log::field("id", id), log::field("why", read.error().message())});
    }
    if (now.certificate) all.push_back(now.certificate);
    opened.emplace(id, std::move(now));
  }
  opened_ = std::move(opened);
  certificates_.use_platform(std::move(all));
}

void CertificateControl::report(std::unique_lock<std::mutex>& lock) {
  if (reporting_ || (!news_ && steady_clock::now() - reported_at_ < report_every)) return;
  news_ = false;
  reported_at_ = steady_clock::now();
  wire::CertificateReport report;
  report.proxy_id = proxy_id_;
  report.version = used_version_;
  report.wants_snapshot = follower_.wants_snapshot();
  // One at a time: while the broker is away they would pile up, and only the newest matters.
  reporting_ = true;
  auto done = [this](const Result<void>&) {
    const std::lock_guard locked(mutex_);
    reporting_ = false;
    wake_.notify_all();
  };
  lock.unlock();
  const auto queued =
      publisher_->publish(broker::key::scheduler_certificates, wire::to_text(report), done);
  lock.lock();
  if (!queued) reporting_ = false;
}

void CertificateControl::save(std::unique_lock<std::mutex>& lock) {
  if (!unsaved_ || steady_clock::now() < save_again_at_) return;
  unsaved_ = false;
  const auto text = wire::to_text(follower_.to_save());
  lock.unlock();
  std::error_code ec;
  std::filesystem::create_directories(saved_.parent_path(), ec);
  const auto saved = replace_file(saved_, text, 0600);
  lock.lock();
  if (!saved) {
    unsaved_ = true;
    save_again_at_ = steady_clock::now() + save_again_after;
    if (!save_failed_)
      log::error(
          "certificates not saved: until they are, this proxy would start again with older ones",
          {log::field("why", saved.error().message())});
  } else if (save_failed_) {
    log::info("certificates are saved again");
  }
  save_failed_ = !saved;
}

void CertificateControl::report_loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    // First: a certificate authority waits for it, and does not care for our disk.
    report(lock);
    save(lock);
    if (stopping_ || (news_ && !reporting_)) continue;
    // While a report is on its way its confirm wakes us: that can take as long as the broker is
    // away.
    auto next = reporting_ ? steady_clock::now() + report_every : reported_at_ + report_every;
    if (unsaved_) next = std::min(next, save_again_at_);
    wake_.wait_until(lock, next);
  }
  save_again_at_ = {};
  save(lock);
}

void CertificateControl::say_goodbye() {
  wire::CertificateReport report;
  report.proxy_id = proxy_id_;
  report.stopping = true;
  const auto told = publisher_->publish_and_wait(broker::key::scheduler_certificates,
                                                 wire::to_text(report), goodbye_time);
  if (!told)
    log::warn("orders of certificates will wait for this proxy a few seconds",
              {log::field("why", told.error().message())});
}

void CertificateControl::stop() {
  if (!publisher_) return;
  consumer_->stop();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  reporter_.join();
  say_goodbye();
  publisher_->stop(100ms);
  consumer_.reset();
  publisher_.reset();
}

}  // namespace karreg::proxy
