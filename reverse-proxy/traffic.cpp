#include "reverse-proxy/traffic.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace karreg::proxy {

namespace {
template <class List, class Fn>
void each(List& to, const List& from, Fn combine) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = combine(to[i], from[i]);
}
}  // namespace

std::size_t time_bucket(std::chrono::microseconds took) {
  const auto bucket = std::ranges::find_if(
      time_buckets_ms, [&](int ms) { return took <= std::chrono::milliseconds(ms); });
  return static_cast<std::size_t>(bucket - time_buckets_ms.begin());
}

std::size_t status_class(int status) {
  const int digit = status / 100;
  return digit >= 1 && digit <= 5 ? static_cast<std::size_t>(digit) : 0;
}

void Traffic::add(const Answered& request) {
  ++answers[status_class(request.status)];
  ++times[time_bucket(request.took)];
  times_us += static_cast<std::uint64_t>(request.took.count());
  retries += static_cast<std::uint64_t>(std::max(0, request.attempts - 1));
  bytes_in += request.bytes_in;
  bytes_out += request.bytes_out;
}

void Traffic::add(const TcpEnded& connection) {
  ++tcp_connections;
  if (!connection.reached) ++tcp_failures;
  retries += static_cast<std::uint64_t>(std::max(0, connection.attempts - 1));
  bytes_in += connection.bytes_in;
  bytes_out += connection.bytes_out;
}

void Traffic::add(const Traffic& other) {
  each(answers, other.answers, std::plus());
  each(times, other.times, std::plus());
  times_us += other.times_us;
  retries += other.retries;
  bytes_in += other.bytes_in;
  bytes_out += other.bytes_out;
  tcp_connections += other.tcp_connections;
  tcp_failures += other.tcp_failures;
}

Traffic Traffic::since(const Traffic& before) const {
  if (!goes_on_from(before)) return *this;
  auto result = *this;
  each(result.answers, before.answers, std::minus());
  each(result.times, before.times, std::minus());
  result.times_us -= before.times_us;
  result.retries -= before.retries;
  result.bytes_in -= before.bytes_in;
  result.bytes_out -= before.bytes_out;
  result.tcp_connections -= before.tcp_connections;
  result.tcp_failures -= before.tcp_failures;
  return result;
}

bool Traffic::goes_on_from(const Traffic& before) const {
  const auto no_less = [](std::uint64_t now, std::uint64_t then) { return now >= then; };
  return std::ranges::equal(answers, before.answers, no_less) &&
         std::ranges::equal(times, before.times, no_less) && times_us >= before.times_us &&
         retries >= before.retries && bytes_in >= before.bytes_in &&
         bytes_out >= before.bytes_out && tcp_connections >= before.tcp_connections &&
         tcp_failures >= before.tcp_failures;
}

std::uint64_t Traffic::requests() const {
  return std::accumulate(answers.begin(), answers.end(), std::uint64_t{0});
}

double Traffic::time_ms(double part) const {
  const auto all = requests();
  if (all == 0) return 0;
  const auto wanted = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(all))));
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < time_buckets_ms.size(); ++i) {
    below += times[i];
    if (below >= wanted) return time_buckets_ms[i];
  }
  return std::numeric_limits<double>::infinity();
}

void TrafficTable::forget_idle(Clock::time_point now) {
  const auto idle = [&](const auto& entry) { return now - entry.second.last > forgotten_after; };
  std::erase_if(news_, [&](const auto* entry) { return idle(*entry); });
  std::erase_if(entries_, idle);
}

void TrafficTable::move_news(std::map<std::string, Traffic>& to) {
  for (auto* entry : news_) {
    auto& [traffic, told, last, news] = entry->second;
    to[entry->first].add(traffic.since(told));
    told = traffic;
    news = false;
  }
  news_.clear();
}

void TrafficTable::add_to(std::map<std::string, Traffic>& all) const {
  for (const auto& [name, entry] : entries_) all[name].add(entry.traffic);
}

}  // namespace karreg::proxy
