#pragma once
/// Tells the scheduler what the applications of this proxy are asked, and at once when requests
/// are held for one that sleeps: by which it decides who sleeps and who wakes.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "common/broker/publisher.hpp"
#include "reverse-proxy/proxy.hpp"
#include "reverse-proxy/traffic_book.hpp"

namespace karreg::proxy {

class TrafficReports {
 public:
  TrafficReports(std::string proxy_id, broker::Address broker, Proxy& proxy);
  ~TrafficReports();
  TrafficReports(const TrafficReports&) = delete;
  TrafficReports& operator=(const TrafficReports&) = delete;

  /// Connects, for ever.
  void start();
  /// Reports bear @p proxy_id from now on. Before, all until now is told under the name that they
  /// had, so that who gets that name goes on where this process ends; waits for that, a second at
  /// most.
  void report_as(const std::string& proxy_id);
  /// Tells the last of it, if the broker is there.
  void stop();

 private:
  void run();
  void tell_all();
  void call();
  /// Whether all of them have reached the broker.
  bool publish(const std::vector<wire::TrafficReport>& reports);
  std::string name() const;

  const broker::Address broker_;
  Proxy& proxy_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::string name_;
  std::string next_name_;   ///< empty: none
  bool held_news_ = false;  ///< an application has its first request that is held
  bool stopping_ = false;
  std::size_t unconfirmed_ = 0;  ///< messages
  TrafficBook book_;             ///< of the thread
  std::unique_ptr<broker::Publisher> publisher_;
  std::thread thread_;
};

}  // namespace karreg::proxy
