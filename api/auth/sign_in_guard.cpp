#include "api/auth/sign_in_guard.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "common/crypto/digest.hpp"
#include "common/text.hpp"

namespace karreg::api {

using std::chrono::seconds;

namespace {

constexpr seconds quiet_time{15 * 60};

}  // namespace

std::string guarded_address(const std::string& peer, const std::string& forwarded_for) {
  boost::system::error_code bad;
  auto address = boost::asio::ip::make_address(peer, bad);
  if (bad) return peer;
  if (address.is_loopback() && !forwarded_for.empty()) {
    // The last entry is the one that the server next to us wrote; those before are hearsay.
    std::string last = forwarded_for.substr(forwarded_for.rfind(',') + 1);
    last.erase(0, last.find_first_not_of(" \t"));
    last.erase(last.find_last_not_of(" \t") + 1);
    const auto told = boost::asio::ip::make_address(last, bad);
    if (!bad) address = told;
  }
  if (address.is_v4()) return address.to_string();
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return boost::asio::ip::address_v6(bytes).to_string() + "/64";
}

seconds SignInGuard::Accounts::wait(const std::string& name, Time now) {
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return seconds(0);
  const Account& account = *it->second;
  if (account.tries < terms_.free_tries || now >= account.last + quiet_time) return seconds(0);
  const int doublings = std::min(account.tries - terms_.free_tries, 20);
  const auto until = account.last + std::min(seconds(1 << doublings), terms_.longest_wait);
  return std::max(seconds(0), std::chrono::ceil<seconds>(until - now));
}

void SignInGuard::Accounts::charge(const std::string& name, Time now) {
  forget_quiet(now);
  auto it = by_name_.find(name);
  if (it == by_name_.end()) {
    by_quiet_.push_back({name, 0, now});
    it = by_name_.emplace(name, std::prev(by_quiet_.end())).first;
  }
  Account& account = *it->second;
  ++account.tries;
  account.last = now;
  by_quiet_.splice(by_quiet_.end(), by_quiet_, it->second);
  if (by_name_.size() <= most_) return;
  by_name_.erase(by_quiet_.front().name);
  by_quiet_.pop_front();
}

void SignInGuard::Accounts::forget_quiet(Time now) {
  while (!by_quiet_.empty() && now >= by_quiet_.front().last + quiet_time) {
    by_name_.erase(by_quiet_.front().name);
    by_quiet_.pop_front();
  }
}

void SignInGuard::Accounts::give_back(const std::string& name) {
  const auto it = by_name_.find(name);
  if (it != by_name_.end()) it->second->tries = std::max(0, it->second->tries - 1);
}

void SignInGuard::Accounts::settle(const std::string& name) {
  const auto it = by_name_.find(name);
  if (it == by_name_.end()) return;
  by_quiet_.erase(it->second);
  by_name_.erase(it);
}

SignInGuard::Try::Try(SignInGuard& guard, std::string address, std::string email)
    : guard_(&guard), address_(std::move(address)), email_(std::move(email)) {
  ++guard_->running_;
}

SignInGuard::Try::Try(Try&& other) noexcept
    : guard_(std::exchange(other.guard_, nullptr)),
      address_(std::move(other.address_)),
      email_(std::move(other.email_)) {}

SignInGuard::Try::~Try() {
  if (guard_ != nullptr) --guard_->running_;
}

void SignInGuard::Try::good() {
  guard_->addresses_.give_back(address_);
  guard_->emails_.settle(email_);
}

std::expected<SignInGuard::Try, seconds> SignInGuard::admit(const std::string& address,
                                                            const std::string& email, Time now) {
  // Names of any length would be memory of any size.
  const std::string name = crypto::sha256_hex(text::lower(email));
  const seconds wait = std::max(addresses_.wait(address, now), emails_.wait(name, now));
  if (wait > seconds(0)) return std::unexpected(wait);
  if (running_ >= most_running_) return std::unexpected(seconds(1));
  addresses_.charge(address, now);
  emails_.charge(name, now);
  return Try(*this, address, name);
}

}  // namespace karreg::api
