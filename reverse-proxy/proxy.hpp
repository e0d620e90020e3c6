#pragma once
/// The data path as one object: its workers and what they share.

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

/// All functions may be called by any thread but those of the workers.
class Proxy {
 public:
  Proxy(ProxyOptions options, AccessLog& access_log);
  ~Proxy();

  /// Takes connections from @p listeners, at least one of each kind for each worker, and serves.
  void start(std::vector<Listener> listeners);
  /// The same where the options say. Error `unavailable` when the address is taken.
  Result<void> start();
  std::uint16_t port() const { return port_; }
  /// Of https; 0: there is none.
  std::uint16_t tls_port() const { return tls_port_; }

  /// Routes by @p table from now on. Returns when every worker does, so that a backend that is no
  /// longer in it gets no new request after that. Error `timeout`: a worker does not react;
  /// `unavailable`: the proxy has stopped.
  Result<void> use(const RouteTable& table);
  /// The same when only the routes that @p update names differ from the table before: then it costs
  /// what has changed.
  Result<void> use(const RouteTable& table, const wire::RouteUpdate& update);
  /// @p tell gets the ports that TCP routes need: with the first table, and whenever they change.
  /// Whoever listens there gives the sockets to open_port(), or says why he cannot. It must not
  /// call use(). Before the first use().
  void when_ports_change(std::function<void(const std::set<std::uint16_t>&)> tell);
  /// Takes connections of TCP routes of @p port from @p sockets too, for as long as a route needs
  /// it.
  void open_port(std::uint16_t port, std::vector<Descriptor> sockets);
  void port_refused(std::uint16_t port, std::string why);
  /// Of each port that TCP routes need, whether it is open, or why not.
  std::map<std::uint16_t, std::string> tcp_ports();

  /// Certificates for handshakes from now on; what stands, stays.
  void use(const std::shared_ptr<const tls::CertificateSet>& certificates);
  /// Answers for certificate authorities. Returns when every worker gives them; errors as above.
  Result<void> use(const std::shared_ptr<const tls::Challenges>& challenges);
  struct InUse {
    std::uint64_t version = 0;            ///< of the table that all workers use; 0: none yet
    std::map<std::string, int> draining;  ///< requests in flight, by instance that is not in it
  };
  /// What a report says. Of one moment: an instance that @c version does not know and that is not
  /// in @c draining has nothing in flight.
  InUse in_use();
  /// What all workers use; nullptr before the first use().
  std::shared_ptr<const LiveRoutes> live_routes();
  /// The applications for which requests wait.
  HeldApps& held_apps() { return held_apps_; }
  /// Instances that have requests in hand, or were sent some since the last call.
  std::vector<ActiveBackend> active();
  /// What each instance has answered since the last call. Error `timeout`: a worker does not react.
  Result<std::map<std::string, Traffic>> answered();
  /// Of all workers, since they began. Error `timeout`: one does not react.
  Result<AllTraffic> traffic();
  /// Of the routes that each worker uses.
  std::vector<std::uint64_t> versions() const;
  /// Prometheus text.
  std::string metrics();
  std::size_t open_connections() const;

  /// No new connections; each connection ends with its request in hand.
  void drain();
  /// No new connections; each connection ends with its next answer, or by itself. A stop() ends
  /// what is left.
  void leave();
  /// drain(), waits up to @p grace for the requests, cuts the rest. Blocks. New routes are taken
  /// over until the requests are done. How many requests were cut, also by cut().
  std::uint64_t stop(std::chrono::milliseconds grace);
  /// Cuts all requests now: for a stop() under way in another thread.
  void cut();

 private:
  /// Lets all workers use @p live. Under mutex_.
  Result<void> switch_to(const std::shared_ptr<const LiveRoutes>& live);
  void tell_ports(const TcpRoutes& routes);

  const ProxyOptions options_;
  AccessLog& access_log_;
  std::mutex mutex_;  ///< registry_, rules_, live_, stopped_, start(), and one use() at a time
  BackendRegistry registry_;
  rules::Registry rules_;
  tls::TicketKeys ticket_keys_;
  rules::PasswordChecker password_checker_;
  HeldApps held_apps_;
  std::shared_ptr<const LiveRoutes> live_;
  bool settled_ = false;  ///< the registry counts what live_ has, and no worker uses another one
  bool stopped_ = false;  ///< the workers' threads have ended
  std::function<void(const std::set<std::uint16_t>&)> tell_ports_;
  std::optional<std::set<std::uint16_t>> told_ports_;
  std::mutex ports_mutex_;  ///< ports_; after mutex_
  std::map<std::uint16_t, std::string> ports_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::uint16_t port_ = 0;
  std::uint16_t tls_port_ = 0;
};

}  // namespace karreg::proxy
