#pragma once
/// The shell around plan(): loads, decides, makes what the platform's own authority makes, orders
/// the rest, and tells the proxies. One thread decides, while this process leads; each order by
/// ACME has a thread of its own until it is over.
///
/// Two that lead for a moment do no harm: an order is made twice, and both are good.

#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "common/broker/consumer.hpp"
#include "common/crypto/vault.hpp"
#include "common/db/database.hpp"
#include "scheduler/certificates/settings.hpp"
#include "scheduler/certificates/stores.hpp"

namespace karreg::scheduler::certificates {

class Keeper {
 public:
  Keeper(Settings settings, const std::string& database_url, crypto::Vault vault);
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  void start();
  /// Ends the orders under way: the next that leads makes them again.
  void stop();
  /// Any thread: whether this process leads.
  void lead(bool leads);
  /// Any thread: something has changed.
  void wake();
  /// Any thread: a wire::CertificateReport.
  broker::Disposition take_report(const std::string& body);

 private:
  /// An order by ACME.
  struct Job {
    Order order;
    std::string challenge;  ///< kind
    Child child;
    Child hook;  ///< prepares what the authority looks at, while the other child waits
    std::atomic<bool> over{false};
    std::thread thread;
  };

  void run();
  Result<void> begin_to_lead();
  Result<void> round();
  Result<void> forget();
  Result<void> make_locally(pqxx::work& work, const Order& order, Time now);
  void reap();
  void work_on(Job& job);
  Result<void> obtain_for(Job& job, std::string& chain, std::string& key);
  Result<std::string> account_key_pem();
  Result<void> prepare(Job& job, const std::vector<wire::AcmeChallenge>& challenges);
  Result<void> prepare_at_proxies(Job& job, const std::vector<wire::AcmeChallenge>& challenges);
  /// Whether the outcome stands in the database, or never will.
  bool finish(const Job& job, const Result<void>& done, const std::string& chain,
              const std::string& key);
  Result<Issued> seal_issued(const Job& job, const std::string& chain, const std::string& key,
                             Time now) const;

  const Settings settings_;
  crypto::Vault keys_;   ///< of certificates
  crypto::Vault vault_;  ///< of what proxies need not open
  db::Database database_;
  std::optional<LocalAuthority> authority_;  ///< opened; of the deciding thread
  std::list<std::unique_ptr<Job>> jobs_;     ///< of the deciding thread
  std::mutex mutex_;
  std::condition_variable wake_;
  bool news_ = false;
  std::atomic<bool> leads_{false};
  std::atomic<bool> stopping_{false};
  std::string trouble_;  ///< of the last round, told once
  std::optional<std::chrono::steady_clock::time_point> forgotten_at_;
  std::chrono::milliseconds pause_{};  ///< until the next round, if there are no news
  std::thread thread_;
};

}  // namespace karreg::scheduler::certificates
