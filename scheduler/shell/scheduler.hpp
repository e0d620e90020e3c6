#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "common/broker/consumer.hpp"
#include "common/broker/publisher.hpp"
#include "common/crypto/vault.hpp"
#include "common/db/database.hpp"
#include "common/db/leader_lock.hpp"
#include "common/db/outbox.hpp"
#include "common/wire/catalogue.hpp"
#include "scheduler/certificates/keeper.hpp"
#include "scheduler/core/advance.hpp"
#include "scheduler/core/hearing.hpp"
#include "scheduler/shell/settings.hpp"

namespace karreg::scheduler {

/// The shell around advance(): load, decide, save with the news, in one transaction a round.
/// Reports come in on the consumer's thread; one thread decides, and only while this process holds
/// the leader's lock.
class Scheduler {
 public:
  Scheduler(Settings settings, crypto::Vault vault);
  /// Error: there is no readable image catalogue; nothing runs then.
  Result<void> start();
  void stop();

 private:
  void run();
  Result<void> round();
  Result<void> send_desired_states();
  /// Once an hour: clears away what is long over.
  Result<void> forget();
  Result<wire::Catalogue> read_catalogue() const;
  /// Takes the catalogue as it is on the disk now; an unreadable one is no reason to stop stopping.
  void renew_catalogue();
  /// The same, if the file is another one than was read last.
  void notice_new_catalogue();
  /// The manifest of an image of the store, by its digest, if it is there.
  std::optional<std::string> manifest_of(const std::string& digest) const;
  broker::Disposition take(const broker::Delivery& delivery);
  broker::Disposition take_host_report(const std::string& body);
  broker::Disposition take_traffic_report(const std::string& body);
  void wake();

  Settings settings_;
  crypto::Vault vault_;
  db::Database database_;
  db::LeaderLock leader_;
  Hearing hearing_;            ///< of the deciding thread
  wire::Catalogue catalogue_;  ///< of the deciding thread: the last readable one
  std::string catalogue_trouble_;
  std::optional<std::filesystem::file_time_type> catalogue_time_;
  std::optional<std::chrono::steady_clock::time_point> forgotten_at_;
  broker::Publisher publisher_;
  certificates::Keeper certificates_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool news_ = true;
  std::atomic<bool> stopping_{false};
  std::map<std::string, std::chrono::steady_clock::time_point> resent_;  ///< consumer's thread only
  std::unique_ptr<db::OutboxRelay> relay_;
  std::unique_ptr<broker::Consumer> consumer_;
  std::thread thread_;
};

}  // namespace karreg::scheduler
