// Plays the scheduler for a proxy under measurement: gives it a table, then changes it at a steady
// pace, and tells how long each change took to be acknowledged. Commands on stdin, a line of JSON
// for each on stdout:
//
//   load         the whole table -> {"ms": until it was acknowledged}
//   run SECONDS  updates at the pace -> {"updates": sent, "lag_ms": {"p50", "p99", "max"}}; lag:
//   from an update to the report
//                that acknowledges it or a later one
//
//   elsewhere SECONDS  the same updates at the same pace, but to a stand-in of a proxy in this
//   program, which acknowledges them: what broker and scheduler take of this machine
//   -> {"updates": sent}
//
// Host number n is served at one of the two ports 2(n % 2) and 2(n % 2) + 1 of the four, and each
// change moves it to the other.
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <iostream>
#include <map>

#include "common/broker/consumer.hpp"
#include "common/broker/publisher.hpp"
#include "common/json.hpp"
#include "common/wire/json.hpp"
#include "common/wire/routes.hpp"

namespace {

using namespace karreg;
using std::chrono::steady_clock;
using ms = std::chrono::duration<double, std::milli>;

struct Options {
  std::string broker;
  std::string proxy_id = "proxy-1";
  std::vector<int> ports;
  int hosts = 100'000;
  int busy_step = 10'000;  ///< every so many hosts one is asked for by the load (bench/proxies)
  int per_second = 1'000;
};

/// Reads updates and acknowledges them as a proxy does, and serves nothing.
class StandIn {
 public:
  static constexpr const char* id = "stand-in";

  explicit StandIn(const broker::Address& address)
      : publisher_(address),
        consumer_(
            address,
            {"bench.stand-in", false, true, false, std::nullopt, {broker::key::proxy_snapshot(id)}},
            [this](const broker::Delivery& delivery) { return take(delivery); },
            [this] {
              const std::lock_guard lock(mutex_);
              listens_ = true;
              news_.notify_all();
            }) {}

  void wait_for(std::uint64_t version) {
    std::unique_lock lock(mutex_);
    const bool came = news_.wait_for(lock, std::chrono::seconds(60),
                                     [&] { return listens_ && version_ >= version; });
    if (!came) throw std::runtime_error("the stand-in did not hear of all updates in a minute");
  }

 private:
  broker::Disposition take(const broker::Delivery& delivery) {
    const auto update = wire::from_text<wire::RouteUpdate>(delivery.body, "RouteUpdate");
    if (!update) throw std::runtime_error(update.error().message());
    const std::lock_guard lock(mutex_);
    version_ = update->version;
    news_.notify_all();
    if (steady_clock::now() - reported_at_ < std::chrono::milliseconds(5))
      return broker::Disposition::ack;
    reported_at_ = steady_clock::now();
    wire::ProxyReport report;
    report.proxy_id = id;
    report.version = version_;
    const auto queued = publisher_.publish(broker::key::scheduler_proxy, wire::to_text(report));
    if (!queued) throw std::runtime_error(queued.error().message());
    return broker::Disposition::ack;
  }

  std::mutex mutex_;
  std::condition_variable news_;
  bool listens_ = false;
  std::uint64_t version_ = 0;
  steady_clock::time_point reported_at_{};
  broker::Publisher publisher_;
  broker::Consumer consumer_;
};

/// Of the table and of what was acknowledged; all functions from any thread.
class Scheduler {
 public:
  Scheduler(const Options& options, const broker::Address& address)
      : options_(options),
        second_port_(static_cast<std::size_t>(options.hosts)),
        publisher_(address),
        stand_in_(address),
        consumer_(
            address, {"bench.routes", false, true, false, std::nullopt, {"scheduler.proxy"}},
            [this](const broker::Delivery& delivery) { return take(delivery); }, [] {}) {}

  /// From a proxy that is there: answers what asks for a snapshot until it has this table.
  double load() {
    {
      std::unique_lock lock(mutex_);
      const bool there =
          news_.wait_for(lock, std::chrono::seconds(60), [&] { return proxy_is_there_; });
      if (!there) throw std::runtime_error("the proxy has not reported in a minute");
    }
    const auto began = steady_clock::now();
    {
      const std::lock_guard lock(mutex_);
      serving_ = true;
      send_snapshot(0);
    }
    wait_until_acknowledged();
    return ms(steady_clock::now() - began).count();
  }

  nlohmann::json run(double seconds) {
    const auto began = steady_clock::now();
    {
      const std::lock_guard lock(mutex_);
      lags_.clear();
      snapshots_ = 0;
    }
    const auto count = at_pace(seconds, [this](int i) { send_update(i); });
    wait_until_acknowledged();
    const std::lock_guard lock(mutex_);
    std::ranges::sort(lags_);
    auto at = [&](double part) {
      return lags_.at(static_cast<std::size_t>(part * static_cast<double>(lags_.size() - 1)));
    };
    return {{"updates", count},
            {"snapshots", snapshots_},
            {"seconds", ms(steady_clock::now() - began).count() / 1000},
            {"lag_ms", {{"p50", at(0.5)}, {"p99", at(0.99)}, {"max", lags_.back()}}}};
  }

  nlohmann::json elsewhere(double seconds) {
    stand_in_.wait_for(0);
    const auto count = at_pace(seconds, [this](int i) {
      ++version_elsewhere_;
      publish(broker::key::proxy_snapshot(StandIn::id),
              wire::to_text(wire::RouteUpdate{
                  version_elsewhere_ - 1, version_elsewhere_, {route(host_of(i))}, {}}));
    });
    stand_in_.wait_for(version_elsewhere_);
    return {{"updates", count}};
  }

 private:
  /// How many there were.
  int at_pace(double seconds, const std::function<void(int)>& send) const {
    const auto began = steady_clock::now();
    const auto pause = std::chrono::nanoseconds(1'000'000'000 / options_.per_second);
    const auto count = static_cast<int>(seconds * options_.per_second);
    for (int i = 0; i < count; ++i) {
      std::this_thread::sleep_until(began + i * pause);
      send(i);
    }
    return count;
  }

  /// That an update moves: every hundredth is one that visitors ask for.
  int host_of(int number) const {
    const int busy = options_.hosts / options_.busy_step;
    return number % 100 == 0 ? (number / 100 % busy) * options_.busy_step
                             : (number * 7919 % options_.hosts);
  }

  wire::Route route(int host) const {
    wire::Route made;
    made.host = fmt::format("app-{}.bench.localhost", host);
    made.app_id = "app_" + made.host;
    const bool second = second_port_.at(static_cast<std::size_t>(host));
    const int place = 2 * (host % 2) + (second ? 1 : 0);
    const auto port = options_.ports.at(static_cast<std::size_t>(place));
    made.backends.push_back(
        {fmt::format("vm-{}-{}", host, port), fmt::format("127.0.0.1:{}", port)});
    return made;
  }

  // With the lock.
  void send_snapshot(std::uint64_t for_version) {
    wire::RouteSnapshot whole{version_, {}, for_version};
    for (int host = 0; host < options_.hosts; ++host) whole.routes.push_back(route(host));
    publish(broker::key::proxy_snapshot(options_.proxy_id), wire::to_text(whole));
  }

  void send_update(int number) {
    const std::lock_guard lock(mutex_);
    const int host = host_of(number);
    second_port_.at(static_cast<std::size_t>(host)) =
        !second_port_.at(static_cast<std::size_t>(host));
    const wire::RouteUpdate update{version_, version_ + 1, {route(host)}, {}};
    ++version_;
    sent_[version_] = steady_clock::now();
    publish(broker::key::proxy_routes, wire::to_text(update));
  }

  void publish(const std::string& key, const std::string& body) {
    const auto queued = publisher_.publish(key, body);
    if (!queued) throw std::runtime_error(queued.error().message());
  }

  broker::Disposition take(const broker::Delivery& delivery) {
    const auto report = wire::from_text<wire::ProxyReport>(delivery.body, "ProxyReport");
    if (!report || report->proxy_id != options_.proxy_id) return broker::Disposition::ack;
    const auto now = steady_clock::now();
    const std::lock_guard lock(mutex_);
    proxy_is_there_ = true;
    if (serving_ && report->wants_snapshot) {
      ++snapshots_;
      send_snapshot(report->version);
      return broker::Disposition::ack;
    }
    acknowledged_ = report->version;
    for (auto it = sent_.begin(); it != sent_.end() && it->first <= acknowledged_;
         it = sent_.erase(it))
      lags_.push_back(ms(now - it->second).count());
    news_.notify_all();
    return broker::Disposition::ack;
  }

  void wait_until_acknowledged() {
    std::unique_lock lock(mutex_);
    const bool came =
        news_.wait_for(lock, std::chrono::seconds(60), [&] { return acknowledged_ == version_; });
    if (!came)
      throw std::runtime_error(fmt::format("version {} was not acknowledged in a minute, {} was",
                                           version_, acknowledged_));
  }

  const Options& options_;
  std::vector<bool> second_port_;
  std::uint64_t version_ = 1;
  std::mutex mutex_;
  std::condition_variable news_;
  bool proxy_is_there_ = false;
  bool serving_ = false;
  int snapshots_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::map<std::uint64_t, steady_clock::time_point> sent_;
  std::vector<double> lags_;
  std::uint64_t version_elsewhere_ = 0;
  broker::Publisher publisher_;
  StandIn stand_in_;
  broker::Consumer consumer_;
};

int serve(const Options& options) {
  const auto address = broker::parse_address(options.broker);
  if (!address) throw std::runtime_error(address.error().message());
  Scheduler scheduler(options, *address);
  std::string command;
  while (std::cin >> command) {
    nlohmann::json answer;
    if (command == "load") {
      answer = {{"ms", scheduler.load()}};
    } else if (double seconds = 0; command == "run" && std::cin >> seconds) {
      answer = scheduler.run(seconds);
    } else if (command == "elsewhere" && std::cin >> seconds) {
      answer = scheduler.elsewhere(seconds);
    } else {
      throw std::runtime_error("the commands are: load, run SECONDS, elsewhere SECONDS");
    }
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() != 7) {
    std::cerr << "usage: route_updates BROKER HOSTS UPDATES_PER_SECOND PORT PORT PORT PORT\n";
    return 2;
  }
  try {
    Options options;
    options.broker = words[0];
    options.hosts = std::stoi(words[1]);
    options.per_second = std::stoi(words[2]);
    for (std::size_t i = 3; i < words.size(); ++i) options.ports.push_back(std::stoi(words[i]));
    return serve(options);
  } catch (const std::exception& e) {
    std::cerr << "route_updates: " << e.what() << "\n";
    return 1;
  }
}
