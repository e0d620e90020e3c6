#pragma once
/// How fast passwords may be guessed.
///
/// Every try is charged to the address it comes from and to the e-mail address it names, before the
/// password is looked at, so that tries at the same time count too. Some are free; from then on
/// each doubles the wait until the next. A good password settles the account of its e-mail address
/// and gives its own try back to the other. Accounts are forgotten after some quiet time, and when
/// there are too many, the quietest first.

#include <chrono>
#include <expected>
#include <list>
#include <string>
#include <unordered_map>
#include <utility>

namespace karreg::api {

/// The address on whose account a try goes: the client's, as the TLS server on this machine says
/// when the try comes through one. Of IPv6 the network, since one has 2^64 of the others.
std::string guarded_address(const std::string& peer, const std::string& forwarded_for);

/// For one thread.
class SignInGuard {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// A try under way, until the end of its life; a bad one unless it is said to be good.
  class Try {
   public:
    Try(SignInGuard& guard, std::string address, std::string email);
    Try(Try&& other) noexcept;
    Try& operator=(Try&&) = delete;
    ~Try();
    void good();

   private:
    SignInGuard* guard_;
    std::string address_;
    std::string email_;
  };

  /// @p most_accounts: of each kind; @p most_running: tries at the same time.
  explicit SignInGuard(std::size_t most_accounts = 10'000, std::size_t most_running = 16)
      : addresses_({20, std::chrono::minutes(5)}, most_accounts),
        emails_({5, std::chrono::minutes(1)}, most_accounts),
        most_running_(most_running) {}

  /// Charges a try, or says how long to wait.
  std::expected<Try, std::chrono::seconds> admit(const std::string& address,
                                                 const std::string& email, Time now);

 private:
  struct Terms {
    int free_tries;
    std::chrono::seconds longest_wait;
  };
  class Accounts {
   public:
    Accounts(Terms terms, std::size_t most) : terms_(terms), most_(most) {}
    std::chrono::seconds wait(const std::string& name, Time now);
    void charge(const std::string& name, Time now);
    void give_back(const std::string& name);
    void settle(const std::string& name);

   private:
    struct Account {
      std::string name;
      int tries = 0;
      Time last;
    };
    void forget_quiet(Time now);

    Terms terms_;
    std::size_t most_;
    std::list<Account> by_quiet_;  ///< the quietest first
    std::unordered_map<std::string, std::list<Account>::iterator> by_name_;
  };

  Accounts addresses_;
  Accounts emails_;
  std::size_t most_running_;
  std::size_t running_ = 0;
};

}  // namespace karreg::api
