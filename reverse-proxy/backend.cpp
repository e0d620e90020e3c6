#include "reverse-proxy/backend.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/config.hpp"

namespace karreg::proxy {

namespace {
/// FNV-1a: enough to keep instance ids out of browsers.
std::string token_of(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return fmt::format("{:016x}", hash);
}
}  // namespace

Backend::Backend(std::string app, std::string id, std::string where,
                 boost::asio::ip::tcp::endpoint at)
    : app_id(std::move(app)),
      instance_id(std::move(id)),
      address(std::move(where)),
      endpoint(std::move(at)),
      sticky_token(token_of(instance_id)) {}

bool Backend::failed(Failure failure, std::chrono::steady_clock::time_point now,
                     const AsideRule& rule) {
  const int in_a_row = failures_.fetch_add(1) + 1;
  // Who is tried out need not fail so often again.
  const bool tried = aside_until_.load() != 0;
  if (failure == Failure::bad_answer && in_a_row < rule.bad_answers && !tried) return false;
  const std::chrono::steady_clock::time_point until =
      now + aside_time(times_aside_.fetch_add(1) + 1, rule);
  aside_until_.store(until.time_since_epoch().count());
  return true;
}

void Backend::is_back() {
  times_aside_.store(0);
  aside_until_.store(0);
  failures_.store(0);
}

bool Backend::tries(std::chrono::steady_clock::time_point now, const AsideRule& rule) {
  auto until = aside_until_.load();
  if (until == 0) return true;
  if (now.time_since_epoch().count() < until) return false;
  const std::chrono::steady_clock::time_point next =
      now + aside_time(times_aside_.load() + 1, rule);
  return aside_until_.compare_exchange_strong(until, next.time_since_epoch().count());
}

Result<std::shared_ptr<Backend>> BackendRegistry::get(const std::string& app_id,
                                                      const wire::Backend& wire) {
  const Key key{wire.instance_id, wire.address};
  if (auto it = backends_.find(key); it != backends_.end()) return it->second;
  if (auto left = retired_.extract(key)) {
    left.mapped()->retire(false);
    return backends_.insert(std::move(left)).position->second;
  }
  auto endpoint = parse_endpoint(wire.address);
  if (!endpoint) return endpoint.error();
  boost::system::error_code ec;
  const auto ip = boost::asio::ip::make_address(
      endpoint->host == "localhost" ? "127.0.0.1" : endpoint->host, ec);
  if (ec)
    return Error(ErrorKind::invalid, "instance " + wire.instance_id + ": \"" + wire.address +
                                         "\" is not an IP address and a port");
  auto backend = std::make_shared<Backend>(app_id, wire.instance_id, wire.address,
                                           boost::asio::ip::tcp::endpoint(ip, endpoint->port));
  backends_.emplace(key_of(*backend), backend);
  return backend;
}

void BackendRegistry::keep_only(const std::vector<std::shared_ptr<Backend>>& in_table) {
  for (auto& [key, backend] : backends_) backend->routes_ = 0;
  for (const auto& backend : in_table) ++backend->routes_;
  for (auto it = backends_.begin(); it != backends_.end();) {
    const auto current = it++;
    if (current->second->routes_ == 0) retire(current);
  }
}

void BackendRegistry::change(const std::vector<std::shared_ptr<Backend>>& came,
                             const std::vector<std::shared_ptr<Backend>>& left) {
  for (const auto& backend : came) ++backend->routes_;
  for (const auto& backend : left) {
    KARREG_INVARIANT(backend->routes_ > 0);
    if (--backend->routes_ == 0) retire(backends_.find(key_of(*backend)));
  }
}

BackendRegistry::Key BackendRegistry::key_of(const Backend& backend) {
  return {backend.instance_id, backend.address};
}

void BackendRegistry::retire(Known::iterator known) {
  KARREG_INVARIANT(known != backends_.end());
  known->second->retire(true);
  retired_.insert(backends_.extract(known));
}

std::map<std::string, int> BackendRegistry::draining() {
  std::map<std::string, int> result;
  std::erase_if(retired_, [&](const auto& entry) {
    const int in_flight = entry.second->in_flight();
    if (in_flight > 0) result[entry.second->instance_id] += in_flight;
    // What active() has not seen would never be told.
    return in_flight == 0 && entry.second->seen_ == entry.second->requests();
  });
  return result;
}

std::vector<ActiveBackend> BackendRegistry::active() {
  std::vector<ActiveBackend> result;
  auto look = [&](Backend& backend) {
    const auto requests = backend.requests();
    const auto in_flight = backend.in_flight();
    if (std::exchange(backend.seen_, requests) != requests || in_flight > 0)
      result.push_back({backend.app_id, backend.instance_id, in_flight});
  };
  for (const auto& [key, backend] : backends_) look(*backend);
  for (const auto& [key, backend] : retired_) look(*backend);
  return result;
}

std::vector<std::shared_ptr<Backend>> BackendRegistry::in_table() const {
  std::vector<std::shared_ptr<Backend>> result;
  result.reserve(backends_.size());
  for (const auto& [key, backend] : backends_) result.push_back(backend);
  return result;
}

}  // namespace karreg::proxy
