#pragma once
/// The proxy's conversation with the scheduler: follows the table, reports what is used and what
/// still drains, keeps the last table in a file and serves from it while the broker is away.

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "common/broker/consumer.hpp"
#include "common/broker/publisher.hpp"
#include "reverse-proxy/follower.hpp"
#include "reverse-proxy/proxy.hpp"
#include "reverse-proxy/saved_routes.hpp"

namespace karreg::proxy {

class Control {
 public:
  Control(std::string proxy_id, std::filesystem::path saved, broker::Address broker, Proxy& proxy);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// Lets the proxy serve by the table of the last run, if there is one. Before start().
  void restore();
  /// Connects, for ever.
  void start();
  /// Lets another process have this proxy's name: what is served and drains here is reported as
  /// @p name from now on, the scheduler has been told so, and the file with the routes is the other
  /// one's. Errors, after which nothing has changed: `unavailable`, the broker does not confirm it;
  /// those of the file, when the routes in use are not in it.
  Result<void> step_aside(const std::string& name);
  /// After step_aside(): the proxy's own name again.
  void come_back();
  /// Tells the scheduler that this proxy goes away on purpose, so that nobody waits for it. After
  /// the last request: from then on nothing is reported, and what drains here protects no instance.
  void say_goodbye();
  void stop();

  /// Uses the routes of @p table in place of those that there are; they have no version, so that a
  /// scheduler that is there puts its own back at once. Errors of Proxy::use().
  Result<void> use_by_hand(wire::RouteSnapshot table);

  struct Status {
    std::uint64_t version = 0;
    bool wants_snapshot = true;
    bool has_table = false;
  };
  Status status() const;

 private:
  broker::Disposition take(const broker::Delivery& delivery);
  Result<void> use(const Follower::Decision& decision, std::unique_lock<std::mutex>& lock);
  template <class Message>
  broker::Disposition follow(const broker::Delivery& delivery, std::string_view what);
  void log_use();
  void report_loop();
  void report_if_due(std::unique_lock<std::mutex>& lock);
  void save_if_due(std::unique_lock<std::mutex>& lock);
  void follow_as(const std::string& name);
  Result<void> save(std::unique_lock<std::mutex>& lock);

  const std::string own_name_;
  const broker::Address broker_;
  Proxy& proxy_;

  std::mutex one_table_at_a_time_;  ///< before mutex_
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::string name_;  ///< that reports bear
  Follower follower_;
  std::uint64_t used_version_ = 0;  ///< that all workers use
  std::size_t used_routes_ = 0;     ///< in it
  std::optional<std::uint64_t> logged_version_;
  bool has_table_ = false;
  bool hears_ = false;      ///< what is reported can be answered
  bool news_ = false;       ///< something to report at once
  bool reporting_ = false;  ///< the last report is not confirmed yet
  bool renaming_ = false;   ///< nothing is reported meanwhile
  bool keeps_file_ = true;  ///< the file is this process's
  bool unsaved_ = false;
  bool saving_ = false;
  std::vector<wire::RouteUpdate> unsaved_updates_;  ///< that lead on from what is saved
  bool whole_unsaved_ = true;                       ///< no updates do
  bool save_failed_ = false;
  bool goodbye_ = false;
  bool stopping_ = false;
  std::map<std::string, int> reported_draining_;
  std::chrono::steady_clock::time_point reported_at_{};
  std::chrono::steady_clock::time_point quiet_until_{};  ///< nothing is reported
  std::chrono::steady_clock::time_point save_again_at_{};

  std::unique_ptr<broker::Publisher> publisher_;
  std::unique_ptr<broker::Consumer> consumer_;
  SavedRoutes saved_;  ///< of the reporter's thread, once it runs
  std::thread reporter_;
};

}  // namespace karreg::proxy
