#include "reverse-proxy/traffic_book.hpp"

#include <algorithm>

namespace karreg::proxy {

namespace {

std::int64_t ms_of(TrafficBook::Clock::duration time) {
  return std::chrono::ceil<std::chrono::milliseconds>(time).count();
}

wire::InstanceTraffic told(const std::string& id, const Traffic& traffic, int in_hand) {
  return {id,
          traffic.requests(),
          traffic.answers.at(5),
          traffic.times_us,
          {traffic.times.begin(), traffic.times.end()},
          in_hand};
}

/// Parts of a report, each as full as it may be.
class Parts {
 public:
  explicit Parts(wire::TrafficReport empty) : empty_(std::move(empty)) { all_.push_back(empty_); }

  wire::TrafficReport& with_room() {
    if (all_.back().apps.size() + all_.back().instances.size() == wire::TrafficReport::most_entries)
      all_.push_back(empty_);
    return all_.back();
  }
  std::vector<wire::TrafficReport> take() && {
    constexpr std::size_t most = wire::TrafficReport::most_parts;
    const bool too_many = all_.size() > most;
    all_.resize(std::min(all_.size(), most));
    int part = 0;
    for (auto& report : all_) {
      report.part = part++;
      report.parts = static_cast<int>(all_.size());
      // Who is not named may have been asked.
      if (too_many) report.covers_ms = 0;
    }
    return std::move(all_);
  }

 private:
  wire::TrafficReport empty_;
  std::vector<wire::TrafficReport> all_;
};

}  // namespace

TrafficBook::TrafficBook(std::string process, Clock::time_point start)
    : process_(std::move(process)),
      start_(start),
      looked_(start),
      confirmed_(start),
      told_(start) {}

void TrafficBook::see(const Look& look, Clock::time_point now) {
  looked_ = now;
  ++number_;
  for (auto& [id, app] : apps_) app.in_hand = app.held = 0;
  for (auto& [id, instance] : instances_) instance.in_hand = 0;
  for (const auto& backend : look.active) {
    auto& app = apps_[backend.app_id];
    app.active = now;
    app.in_hand += backend.in_flight;
    auto& instance = instances_[backend.instance_id];
    instance.active = now;
    instance.in_hand += backend.in_flight;
  }
  for (const auto& [id, n] : look.held) {
    apps_[id].active = now;
    apps_[id].held = n;
  }
  for (const auto& [id, traffic] : look.answered) {
    instances_[id].active = now;
    instances_[id].traffic.add(traffic);
  }
  std::erase_if(apps_, [&](const auto& entry) { return entry.second.active <= told_; });
  std::erase_if(instances_,
                [&](const auto& entry) { return now - entry.second.active > forgotten_after; });
}

std::vector<wire::TrafficReport> TrafficBook::report(const std::string& proxy_id) const {
  wire::TrafficReport empty;
  empty.proxy_id = proxy_id;
  empty.process = process_;
  empty.number = number_;
  empty.at_ms = ms_of(looked_ - start_);
  empty.covers_ms = ms_of(looked_ - told_);
  Parts parts(std::move(empty));
  // First those that an omission would harm.
  for (const auto& [id, app] : apps_)
    if (app.active > told_)
      parts.with_room().apps.push_back({id, ms_of(looked_ - app.active), app.in_hand, app.held});
  for (const auto& [id, instance] : instances_)
    if (instance.active > told_)
      parts.with_room().instances.push_back(told(id, instance.traffic, instance.in_hand));
  return std::move(parts).take();
}

void TrafficBook::confirmed() {
  told_ = std::exchange(confirmed_, looked_);
}

std::vector<wire::TrafficReport> TrafficBook::call(const std::string& proxy_id,
                                                   const std::map<std::string, int>& held) const {
  std::vector<wire::TrafficReport> calls;
  for (const auto& [id, n] : held) {
    if (calls.empty() || calls.back().apps.size() == wire::TrafficReport::most_entries) {
      calls.emplace_back();
      calls.back().proxy_id = proxy_id;
      calls.back().process = process_;
    }
    calls.back().apps.push_back({id, 0, 0, n});
  }
  return calls;
}

}  // namespace karreg::proxy
