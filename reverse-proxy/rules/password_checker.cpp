#include "reverse-proxy/rules/password_checker.hpp"

#include <algorithm>
#include <cstring>

#include "common/crypto/digest.hpp"
#include "common/ids.hpp"

namespace karreg::proxy::rules {

PasswordChecker::~PasswordChecker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool PasswordChecker::ask(Check check) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || waiting_.size() >= most_waiting) return false;
  auto& of_app = of_app_[check.app];
  if (of_app >= most_of_one) return false;
  ++of_app;
  waiting_.push_back(std::move(check));
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  wake_.notify_one();
  return true;
}

void PasswordChecker::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    const auto check = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    const bool right = verify_crypt(check.password, check.hash);
    check.done(right);
    lock.lock();
    if (--of_app_[check.app] == 0) of_app_.erase(check.app);
  }
}

Passwords::Digest Passwords::digest_of(const Credentials& credentials, const std::string& hash) {
  if (key_.empty()) key_ = ids::random_token(32);
  // No NUL in any of them.
  const auto whole =
      crypto::hmac_sha512(key_, credentials.user + '\0' + hash + '\0' + credentials.password);
  Digest digest{};
  std::memcpy(digest.data(), whole.data(), digest.size());
  return digest;
}

Passwords::Digest& Passwords::place_of(const Digest& digest) {
  std::size_t at = 0;
  std::memcpy(&at, digest.data(), sizeof at);
  return right_[at % remembered];
}

Task<Checked> Passwords::check(PasswordChecker& checker, std::string app, Credentials credentials,
                               std::string hash) {
  const auto digest = digest_of(credentials, hash);
  if (!right_.empty() && place_of(digest) == digest) co_return Checked::right;
  struct Waiting {
    explicit Waiting(Loop& loop) : answered(loop) {}
    Signal answered;
    bool right = false;
  };
  const auto waiting = std::make_shared<Waiting>(loop_);
  PasswordChecker::Check ask{std::move(app), std::move(credentials.password), std::move(hash), {}};
  ask.done = [waiting, &loop = loop_](bool right) {
    loop.post([waiting, right] {
      waiting->right = right;
      waiting->answered.tell();
    });
  };
  if (!checker.ask(std::move(ask))) co_return Checked::too_many;
  co_await waiting->answered;
  if (!waiting->right) co_return Checked::wrong;
  if (right_.empty()) right_.resize(remembered);
  place_of(digest) = digest;
  co_return Checked::right;
}

}  // namespace karreg::proxy::rules
