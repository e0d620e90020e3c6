#pragma once
/// karreg-builder as a daemon: threads that claim builds, woken by the broker and by the clock, and
/// one that removes what no build needs any more.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "builder/app_log.hpp"
#include "builder/builds_store.hpp"
#include "builder/data_folder.hpp"
#include "builder/image_maker.hpp"
#include "builder/options.hpp"
#include "builder/store_server.hpp"
#include "common/broker/consumer.hpp"
#include "common/broker/publisher.hpp"
#include "common/crypto/vault.hpp"
#include "common/db/database.hpp"
#include "common/db/outbox.hpp"

namespace karreg::builder {

class Daemon {
 public:
  /// Makes the folders, brings the schema up to date and starts to work. Error: what is missing.
  static Result<std::unique_ptr<Daemon>> start(Options options);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

 private:
  Daemon(Options options, crypto::Vault vault);
  void work();
  void sweep();
  /// Removes the folders of builds that are over, and the caches of apps that are gone.
  Result<void> sweep_once();
  /// Removes the artifacts that nothing needs, and files that are none.
  Result<void> sweep_artifacts();
  void wake();
  /// Waits for news or @p at_most; false when the daemon stops.
  bool wait(std::uint64_t& seen, std::chrono::milliseconds at_most);

  Options options_;
  crypto::Vault vault_;
  DataFolder data_;
  db::Database database_;
  BuildsStore store_;
  broker::Publisher publisher_;
  AppLog app_log_;
  ImageMaker images_;
  db::OutboxRelay relay_;
  std::unique_ptr<StoreServer> store_server_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t news_ = 0;
  bool stopping_ = false;

  std::unique_ptr<broker::Consumer> consumer_;
  std::vector<std::thread> threads_;
};

}  // namespace karreg::builder
