#include "scheduler/shell/scheduler.hpp"

#include <fstream>
#include <sstream>

#include "common/broker/topology.hpp"
#include "common/ids.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "scheduler/shell/vm_spec.hpp"

namespace karreg::scheduler {

using namespace std::chrono_literals;

namespace {
/// "karregSC": the lock of the scheduler that leads.
constexpr std::int64_t leader_key = 0x6b61727265675343;
/// Without news the world is looked at this often: back-offs and deadlines pass by themselves.
constexpr auto idle_time = 500ms;
/// How often what is long over is cleared away.
constexpr auto forget_time = 1h;

class RandomIds final : public IdSource {
 public:
  std::string build() override { return ids::make("build_"); }
  std::string instance() override { return ids::uuid(); }
  std::string job() override { return ids::make("job_"); }
  std::string deployment() override { return ids::make("deployment_"); }
};
}  // namespace

Scheduler::Scheduler(Settings settings, crypto::Vault vault)
    : settings_(std::move(settings)),
      vault_(std::move(vault)),
      database_(settings_.database_url, 3),
      leader_(settings_.database_url, leader_key),
      publisher_(settings_.broker),
      certificates_(settings_.certificates, settings_.database_url, vault_) {}

Result<void> Scheduler::start() {
  auto images = read_catalogue();
  if (!images) return images.error();
  catalogue_ = std::move(*images);
  relay_ = std::make_unique<db::OutboxRelay>(settings_.database_url, publisher_);
  consumer_ = std::make_unique<broker::Consumer>(
      settings_.broker, broker::scheduler_queue(),
      [this](const broker::Delivery& delivery) { return take(delivery); }, [this] { wake(); });
  certificates_.start();
  thread_ = std::thread([this] { run(); });
  return ok();
}

void Scheduler::stop() {
  stopping_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
  certificates_.stop();
  consumer_.reset();
  relay_.reset();
  publisher_.stop(2000ms);
}

void Scheduler::wake() {
  const std::lock_guard lock(mutex_);
  news_ = true;
  wake_.notify_one();
}

void Scheduler::run() {
  bool led = false;
  while (!stopping_) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, idle_time, [this] { return news_ || stopping_; });
      news_ = false;
    }
    if (stopping_) break;
    auto leads = leader_.hold();
    certificates_.lead(leads && *leads);
    if (!leads) {
      log::warn("cannot lead", {log::field("why", leads.error().message())});
      continue;
    }
    if (*leads != led) log::info(*leads ? "this scheduler leads" : "another scheduler leads");
    led = *leads;
    if (!led) {
      hearing_.reset();
      continue;
    }
    auto done = round();
    if (done) done = send_desired_states();
    if (done) done = forget();
    if (!done) log::error("round failed", {log::field("why", done.error().message())});
  }
  leader_.release();
}

Result<void> Scheduler::round() {
  std::vector<Note> notes;
  RandomIds ids;
  notice_new_catalogue();
  auto done = database_.transact([&](pqxx::work& work) -> Result<void> {
    begin_round(work);
    // The clock which also stamped the reports.
    const Time now = database_time(work);
    remember_images(work, catalogue_,
                    [this](const std::string& digest) { return manifest_of(digest); });
    World before = load_world(work);
    before.policy = settings_.policy;
    before.hearing_since = hearing_.since(before, now);
    auto [after, told] = advance(before, now, ids);
    // What found no host is not kept: the next round makes it again.
    save_world(work, before, after, now, vault_);
    save_notes(work, told, now);
    notes = std::move(told);
    return ok();
  });
  if (!done) return done;
  for (const auto& note : notes)
    log::info(note.text,
              {log::field("app", note.app_id), log::field("deployment", note.deployment)});
  return ok();
}

Result<void> Scheduler::forget() {
  const auto time = std::chrono::steady_clock::now();
  if (forgotten_at_ && time - *forgotten_at_ < forget_time) return ok();
  auto done = database_.transact([](pqxx::work& work) -> Result<void> {
    forget_old_instances(work);
    forget_old_jobs(work);
    forget_old_rolls(work);
    forget_old_images(work);
    forget_silent_proxies(work);
    forget_old_traffic(work);
    return ok();
  });
  if (done) forgotten_at_ = time;
  return done;
}

Result<wire::Catalogue> Scheduler::read_catalogue() const {
  std::ifstream file(settings_.images_dir + "/catalogue.json");
  std::ostringstream text;
  text << file.rdbuf();
  if (!file)
    return Error(ErrorKind::not_found,
                 "there is no image catalogue in " + settings_.images_dir +
                     " (setting scheduler.images_dir); images/build makes it");
  return wire::from_text<wire::Catalogue>(text.str(), "catalogue.json");
}

void Scheduler::renew_catalogue() {
  auto images = read_catalogue();
  const std::string why = images ? std::string() : images.error().message();
  if (images)
    catalogue_ = std::move(*images);
  else if (why != catalogue_trouble_)
    log::error("working with the last readable image catalogue", {log::field("why", why)});
  catalogue_trouble_ = why;
}

void Scheduler::notice_new_catalogue() {
  std::error_code trouble;
  const auto time =
      std::filesystem::last_write_time(settings_.images_dir + "/catalogue.json", trouble);
  if (!trouble && catalogue_time_ == time) return;
  renew_catalogue();
  catalogue_time_.reset();
  if (!trouble) catalogue_time_ = time;
}

std::optional<std::string> Scheduler::manifest_of(const std::string& digest) const {
  std::ifstream file(settings_.images_dir + "/manifests/" + digest + ".txt");
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<void> Scheduler::send_desired_states() {
  return database_.transact([&](pqxx::work& work) -> Result<void> {
    decide_alone(work);
    const auto hosts = hosts_to_update(work);
    if (!hosts.empty()) renew_catalogue();
    for (const auto& host : hosts)
      send_desired(work, host, specify(work, host, catalogue_, vault_, settings_));
    return ok();
  });
}

broker::Disposition Scheduler::take_host_report(const std::string& body) {
  auto report = wire::from_text<wire::HostReport>(body, "HostReport");
  if (!report) {
    log::error("unusable report", {log::field("why", report.error().message())});
    return broker::Disposition::reject;
  }
  bool behind = false;
  auto saved = database_.transact([&](pqxx::work& work) -> Result<void> {
    behind = save_host_report(work, *report);
    auto& last = resent_[report->host_id];
    const auto time = std::chrono::steady_clock::now();
    // Its desired state was lost or is on its way: send it again, not more than once a second.
    if (behind && time - last > 1s) {
      last = time;
      send_desired_again(work, report->host_id);
    }
    return ok();
  });
  if (saved) return broker::Disposition::ack;
  log::warn("report not saved", {log::field("why", saved.error().message())});
  return broker::disposition_after(saved.error());
}

broker::Disposition Scheduler::take_traffic_report(const std::string& body) {
  auto report = wire::from_text<wire::TrafficReport>(body, "TrafficReport");
  if (!report) {
    log::error("unusable report", {log::field("why", report.error().message())});
    return broker::Disposition::reject;
  }
  bool held = false;
  auto saved = database_.transact([&](pqxx::work& work) -> Result<void> {
    held = save_traffic_report(work, *report);
    return ok();
  });
  // Figures alone change nothing that could not wait for the next round.
  if (saved && held) wake();
  if (saved) return broker::Disposition::ack;
  log::warn("report not saved", {log::field("why", saved.error().message())});
  return broker::disposition_after(saved.error());
}

broker::Disposition Scheduler::take(const broker::Delivery& delivery) {
  if (delivery.routing_key == broker::key::scheduler_traffic)
    return take_traffic_report(delivery.body);
  auto disposition = broker::Disposition::ack;
  if (delivery.routing_key == broker::key::scheduler_host) {
    disposition = take_host_report(delivery.body);
  } else if (delivery.routing_key == broker::key::scheduler_proxy) {
    auto report = wire::from_text<wire::ProxyReport>(delivery.body, "ProxyReport");
    if (!report) return broker::Disposition::reject;
    auto saved = database_.transact([&](pqxx::work& work) -> Result<void> {
      save_proxy_report(work, *report);
      return ok();
    });
    if (!saved) disposition = broker::disposition_after(saved.error());
  }
  if (delivery.routing_key == broker::key::scheduler_certificates)
    return certificates_.take_report(delivery.body);
  // What an owner has uploaded or taken away.
  if (delivery.routing_key == broker::key::scheduler_wake) certificates_.wake();
  wake();
  return disposition;
}

}  // namespace karreg::scheduler
