#pragma once
/// Passwords are compared by hashes that take some 10 to 200 ms on purpose: on a thread of their
/// own for all workers, and what was found right is remembered by each worker. So an event loop
/// never waits for one, and a visitor's browser, which sends his password with each request, waits
/// once.

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "reverse-proxy/loop/signal.hpp"
#include "reverse-proxy/rules/basic_auth.hpp"

namespace karreg::proxy::rules {

/// The thread, which begins with the first check. Any thread may ask.
class PasswordChecker {
 public:
  /// Checks that wait, of all applications and of one: who guesses at one application does not keep
  /// the others waiting for long.
  static constexpr std::size_t most_waiting = 64;
  static constexpr std::size_t most_of_one = 8;

  struct Check {
    std::string app;
    std::string password;
    std::string hash;
    std::function<void(bool right)> done;  ///< called on the checker's thread
  };
  PasswordChecker() = default;
  PasswordChecker(const PasswordChecker&) = delete;
  PasswordChecker& operator=(const PasswordChecker&) = delete;
  /// Nobody waits any more.
  ~PasswordChecker();

  /// False: too many wait.
  bool ask(Check check);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Check> waiting_;
  std::map<std::string, std::size_t> of_app_;  ///< waiting, or being checked
  bool stopping_ = false;
  std::thread thread_;
};

enum class Checked { right, wrong, too_many };

/// What a worker knows of passwords. On its loop's thread.
class Passwords {
 public:
  explicit Passwords(Loop& loop) : loop_(loop) {}

  /// Whether the password is the one of @p hash. @p app has its share of the checks that may wait.
  Task<Checked> check(PasswordChecker& checker, std::string app, Credentials credentials,
                      std::string hash);

 private:
  /// HMAC of what was found right: a password is not kept, and a changed hash is another one.
  using Digest = std::array<char, 32>;
  static constexpr std::size_t remembered = 512;
  Digest digest_of(const Credentials& credentials, const std::string& hash);
  Digest& place_of(const Digest& digest);

  Loop& loop_;
  std::string key_;            ///< random, of this worker
  std::vector<Digest> right_;  ///< empty, or @c remembered ones
};

}  // namespace karreg::proxy::rules
