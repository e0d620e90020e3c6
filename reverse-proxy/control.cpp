#include "reverse-proxy/control.hpp"

#include "common/ids.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"
#include "reverse-proxy/saved_routes.hpp"

namespace karreg::proxy {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {
/// docs/contracts.md §2: who has not reported for longer does not count.
constexpr auto report_every = 2s;
/// Nothing is reported while a whole table is taken over, for as long at most: it would ask for the
/// same once more.
constexpr auto take_over_time = 5s;
/// Where updates come close together, one report is for several: each costs a write to the disk.
constexpr auto report_pause = 20ms;
/// How soon the end of a drain is seen.
constexpr auto look_every = 50ms;
/// After a table could not be written.
constexpr auto save_again_after = 2s;
constexpr auto goodbye_time = 2s;
/// Of each step with which another process gets the name.
constexpr auto settle_time = 10s;
}  // namespace

Control::Control(std::string proxy_id, std::filesystem::path saved, broker::Address broker,
                 Proxy& proxy)
    : own_name_(std::move(proxy_id)),
      broker_(std::move(broker)),
      proxy_(proxy),
      name_(own_name_),
      saved_(std::move(saved)) {}

Control::~Control() {
  stop();
}

void Control::restore() {
  auto table = saved_.load();
  if (!table) {
    if (table.error().kind() != ErrorKind::not_found)
      log::warn("saved routes are not used", {log::field("why", table.error().message())});
    return;
  }
  auto used = proxy_.use(*table);
  if (!used)
    return log::error("saved routes are not used", {log::field("why", used.error().message())});
  const std::lock_guard lock(mutex_);
  follower_.restore(std::move(*table));
  logged_version_ = used_version_ = follower_.table().version();
  has_table_ = true;
  log::info("serving by the routes of the last run",
            {log::field("version", used_version_), log::field("routes", follower_.table().size())});
}

void Control::start() {
  publisher_ = std::make_unique<broker::Publisher>(broker_);
  reporter_ = std::thread([this] { report_loop(); });
  follow_as(own_name_);
}

void Control::follow_as(const std::string& name) {
  // Its end is waited for: two would not keep the order of what is said.
  if (consumer_) consumer_->stop();
  auto connected = [this] {
    const std::lock_guard lock(mutex_);
    follower_.connected();
    hears_ = true;
    news_ = true;
    wake_.notify_all();
  };
  consumer_ = std::make_unique<broker::Consumer>(
      broker_, broker::proxy_queue(name, ids::random_token(9)),
      [this](const broker::Delivery& delivery) { return take(delivery); }, connected);
}

broker::Disposition Control::take(const broker::Delivery& delivery) {
  if (delivery.routing_key == broker::key::proxy_routes)
    return follow<wire::RouteUpdate>(delivery, "RouteUpdate");
  {
    const std::lock_guard lock(mutex_);
    quiet_until_ = steady_clock::now() + take_over_time;
  }
  return follow<wire::RouteSnapshot>(delivery, "RouteSnapshot");
}

template <class Message>
broker::Disposition Control::follow(const broker::Delivery& delivery, std::string_view what) {
  auto message = wire::from_text<Message>(delivery.body, what);
  if (!message) {
    log::error(
        "message from the scheduler not understood",
        {log::field("key", delivery.routing_key), log::field("why", message.error().message())});
    const std::lock_guard lock(mutex_);
    quiet_until_ = {};
    return broker::Disposition::reject;
  }
  const std::lock_guard alone(one_table_at_a_time_);
  std::unique_lock lock(mutex_);
  const auto decision = follower_.take(std::move(*message));
  (void)use(decision, lock);
  return broker::Disposition::ack;
}

Result<void> Control::use_by_hand(wire::RouteSnapshot table) {
  const std::lock_guard alone(one_table_at_a_time_);
  std::unique_lock lock(mutex_);
  table.version = 0;
  table.for_version = follower_.table().version();
  return use(follower_.take(std::move(table)), lock);
}

Result<void> Control::use(const Follower::Decision& decision, std::unique_lock<std::mutex>& lock) {
  Result<void> used;
  for (const auto& why : decision.left_out) log::error("route left out", {log::field("why", why)});
  if (decision.use_table) {
    // Before it is used: whoever sees it in use finds it marked.
    unsaved_ = true;
    save_again_at_ = {};
    if (decision.update && !whole_unsaved_) {
      unsaved_updates_.push_back(*decision.update);
    } else {
      whole_unsaved_ = true;
      unsaved_updates_.clear();
    }
    // Nobody else changes the table: it may be read without the lock, which the workers' pace must
    // not hold.
    lock.unlock();
    used = decision.update ? proxy_.use(follower_.table(), *decision.update)
                           : proxy_.use(follower_.table());
    lock.lock();
    if (used) {
      used_version_ = follower_.table().version();
      used_routes_ = follower_.table().size();
      has_table_ = true;
    } else {
      follower_.not_used();
      log::error("routes not used", {log::field("why", used.error().message())});
    }
  }
  const bool was_quiet = std::exchange(quiet_until_, {}) != steady_clock::time_point{};
  // Not before: a report made meanwhile would be the old version's, and the new one's would wait.
  // Who has news already will look at the clock by itself.
  if (!std::exchange(news_, true) || was_quiet) wake_.notify_all();
  return used;
}

void Control::log_use() {
  if (!has_table_ || logged_version_ == used_version_) return;
  logged_version_ = used_version_;
  log::info("routes in use",
            {log::field("version", used_version_), log::field("routes", used_routes_)});
}

void Control::report_if_due(std::unique_lock<std::mutex>& lock) {
  if (!hears_ || reporting_ || renaming_ || goodbye_) return;
  if (steady_clock::now() < std::max(reported_at_ + report_pause, quiet_until_)) return;
  lock.unlock();
  auto in_use = proxy_.in_use();
  lock.lock();
  const auto now = steady_clock::now();
  const bool due =
      news_ || in_use.draining != reported_draining_ || now - reported_at_ >= report_every;
  if (!due || renaming_ || goodbye_) return;
  wire::ProxyReport report;
  report.proxy_id = name_;
  // Both from one look: with the version of a later one the old instances would seem to be done.
  report.version = in_use.version;
  report.draining = in_use.draining;
  report.wants_snapshot = follower_.wants_snapshot();
  news_ = false;
  reported_draining_ = std::move(in_use.draining);
  reported_at_ = now;
  // The scheduler stops instances by what is acknowledged. A proxy that is killed after that must
  // not start again with a table that knows them. On a full disk that can't be had, and a
  // deployment does not wait for it.
  save_if_due(lock);
  if (renaming_ || goodbye_) return;
  // One at a time: while the broker is away they would pile up, and only the newest matters.
  reporting_ = true;
  auto done = [this](const Result<void>&) {
    const std::lock_guard locked(mutex_);
    reporting_ = false;
    wake_.notify_all();
  };
  // Under the lock: after a goodbye the scheduler would take a late report for a proxy that serves.
  const auto queued =
      publisher_->publish(broker::key::scheduler_proxy, wire::to_text(report), done);
  if (!queued) reporting_ = false;
}

void Control::save_if_due(std::unique_lock<std::mutex>& lock) {
  if (!keeps_file_ || !unsaved_ || steady_clock::now() < save_again_at_) return;
  unsaved_ = false;
  saving_ = true;
  const auto saved = save(lock);
  saving_ = false;
  wake_.notify_all();
  if (!saved) {
    unsaved_ = true;
    whole_unsaved_ = true;
    unsaved_updates_.clear();
    save_again_at_ = steady_clock::now() + save_again_after;
    if (!save_failed_)
      log::error("routes not saved: until they are, this proxy would start again with older ones",
                 {log::field("why", saved.error().message())});
  } else if (save_failed_) {
    log::info("routes are saved again");
  }
  save_failed_ = !saved;
}

Result<void> Control::save(std::unique_lock<std::mutex>& lock) {
  // The newest, which may not be in use yet: it is what the scheduler wants.
  const auto updates = std::exchange(unsaved_updates_, {});
  if (!whole_unsaved_ && saved_.can_append()) {
    lock.unlock();
    auto saved = saved_.append(updates);
    lock.lock();
    return saved;
  }
  whole_unsaved_ = false;
  const auto table = follower_.table();
  lock.unlock();
  auto saved = saved_.save(table);
  lock.lock();
  return saved;
}

void Control::report_loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    report_if_due(lock);
    save_if_due(lock);
    log_use();
    if (stopping_) break;
    const auto now = steady_clock::now();
    const bool may_report = news_ && hears_ && !reporting_ && !renaming_ && !goodbye_;
    wake_.wait_until(
        lock, may_report && quiet_until_ < now ? reported_at_ + report_pause : now + look_every);
  }
  save_if_due(lock);
}

Result<void> Control::step_aside(const std::string& name) {
  auto back_to_reporting = [this](const Error& error) {
    renaming_ = false;
    wake_.notify_all();
    return error;
  };
  std::unique_lock lock(mutex_);
  renaming_ = true;
  // The reporter saves, and a report of it may be on its way: then what is said here comes after.
  save_again_at_ = {};
  wake_.notify_all();
  const bool settled =
      wake_.wait_for(lock, settle_time, [this] { return !reporting_ && !saving_ && !unsaved_; });
  if (!settled)
    return back_to_reporting(
        Error(ErrorKind::unavailable, reporting_ ? "the broker does not confirm reports"
                                                 : "the routes in use cannot be saved"));
  keeps_file_ = false;
  lock.unlock();
  auto in_use = proxy_.in_use();
  wire::ProxyReport report;
  report.proxy_id = name;
  report.version = in_use.version;
  report.draining = std::move(in_use.draining);
  const auto told = publisher_->publish_and_wait(broker::key::scheduler_proxy,
                                                 wire::to_text(report), settle_time);
  lock.lock();
  if (!told) {
    keeps_file_ = true;
    return back_to_reporting(told.error());
  }
  name_ = name;
  lock.unlock();
  follow_as(name);
  lock.lock();
  renaming_ = false;
  news_ = true;
  wake_.notify_all();
  return ok();
}

void Control::come_back() {
  {
    const std::lock_guard lock(mutex_);
    renaming_ = true;
    name_ = own_name_;
    keeps_file_ = true;
    // The other one may have written it.
    unsaved_ = has_table_;
    whole_unsaved_ = true;
  }
  follow_as(own_name_);
  const std::lock_guard lock(mutex_);
  renaming_ = false;
  news_ = true;
  wake_.notify_all();
}

void Control::say_goodbye() {
  if (!publisher_) return;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(goodbye_, true)) return;
  }
  wire::ProxyReport report;
  report.proxy_id = name_;
  report.stopping = true;
  const auto told = publisher_->publish_and_wait(broker::key::scheduler_proxy,
                                                 wire::to_text(report), goodbye_time);
  if (!told)
    log::warn("the scheduler does not know that this proxy stops",
              {log::field("why", told.error().message())});
}

void Control::stop() {
  if (consumer_) consumer_->stop();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (reporter_.joinable()) reporter_.join();
  if (publisher_) publisher_->stop(100ms);
  consumer_.reset();
  publisher_.reset();
}

Control::Status Control::status() const {
  const std::lock_guard lock(mutex_);
  return {used_version_, follower_.wants_snapshot(), has_table_};
}

}  // namespace karreg::proxy
