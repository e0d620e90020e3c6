#include "reverse-proxy/traffic_reports.hpp"

#include "common/broker/topology.hpp"
#include "common/ids.hpp"
#include "common/log.hpp"
#include "common/wire/json.hpp"

namespace karreg::proxy {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {
constexpr auto report_every = 5s;
/// How often those are told again for whom requests are held.
constexpr auto call_every = 1s;
/// For a report to be confirmed by the broker.
constexpr auto settle_time = 3s;
/// For the last report under a name that another process waits for. Without it that one's coverage
/// begins anew.
constexpr auto hand_over_time = 1s;
/// At the end nobody is kept waiting.
constexpr auto last_time = 500ms;
}  // namespace

TrafficReports::TrafficReports(std::string proxy_id, broker::Address broker, Proxy& proxy)
    : broker_(std::move(broker)),
      proxy_(proxy),
      name_(std::move(proxy_id)),
      book_(ids::random_token(9), steady_clock::now()) {
  proxy_.held_apps().when_new([this] {
    const std::lock_guard lock(mutex_);
    held_news_ = true;
    wake_.notify_all();
  });
}

TrafficReports::~TrafficReports() {
  stop();
}

void TrafficReports::start() {
  publisher_ = std::make_unique<broker::Publisher>(broker_);
  thread_ = std::thread([this] { run(); });
}

void TrafficReports::report_as(const std::string& proxy_id) {
  std::unique_lock lock(mutex_);
  next_name_ = proxy_id;
  wake_.notify_all();
  wake_.wait_for(lock, hand_over_time, [this] { return next_name_.empty() || stopping_; });
}

std::string TrafficReports::name() const {
  const std::lock_guard lock(mutex_);
  return name_;
}

void TrafficReports::run() {
  auto report_at = steady_clock::now() + report_every;
  for (;;) {
    const bool holds = !proxy_.held_apps().now().empty();
    {
      std::unique_lock lock(mutex_);
      const auto until = holds ? std::min(report_at, steady_clock::now() + call_every) : report_at;
      wake_.wait_until(lock, until,
                       [this] { return held_news_ || stopping_ || !next_name_.empty(); });
      held_news_ = false;
      if (stopping_) break;
      if (!next_name_.empty()) report_at = {};
    }
    if (steady_clock::now() >= report_at) {
      tell_all();
      report_at = steady_clock::now() + report_every;
      const std::lock_guard lock(mutex_);
      if (!next_name_.empty()) name_ = std::exchange(next_name_, {});
      wake_.notify_all();
    } else {
      call();
    }
  }
  tell_all();
}

void TrafficReports::tell_all() {
  // Answers before activity: of an instance that has answered it is known whose it is.
  auto answered = proxy_.answered();
  if (!answered) return log::error(answered.error().message());
  book_.see({proxy_.active(), std::move(*answered), proxy_.held_apps().now()}, steady_clock::now());
  if (publish(book_.report(name()))) book_.confirmed();
}

void TrafficReports::call() {
  (void)publish(book_.call(name(), proxy_.held_apps().now()));
}

bool TrafficReports::publish(const std::vector<wire::TrafficReport>& reports) {
  std::unique_lock lock(mutex_);
  // While the broker is away they would pile up, and what they say is old when it is back.
  if (unconfirmed_ > 0) return false;
  auto done = [this](const Result<void>&) {
    const std::lock_guard locked(mutex_);
    --unconfirmed_;
    wake_.notify_all();
  };
  for (const auto& report : reports) {
    ++unconfirmed_;
    lock.unlock();
    const auto queued =
        publisher_->publish(broker::key::scheduler_traffic, wire::to_text(report), done);
    lock.lock();
    if (queued) continue;
    --unconfirmed_;
    return false;
  }
  // What is not confirmed in time is told again with what comes.
  return wake_.wait_for(lock, stopping_ ? last_time : settle_time,
                        [this] { return unconfirmed_ == 0; });
}

void TrafficReports::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (publisher_) publisher_->stop(100ms);
  publisher_.reset();
}

}  // namespace karreg::proxy
