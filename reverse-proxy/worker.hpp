#pragma once
/// One thread, one event loop, its own listener (SO_REUSEPORT), sessions, kept connections and
/// counters. Workers share the table, the backends' counters and the access log.

#include <deque>
#include <functional>
#include <future>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "common/config.hpp"
#include "reverse-proxy/access_log.hpp"
#include "reverse-proxy/connection.hpp"
#include "reverse-proxy/holding.hpp"
#include "reverse-proxy/http2/client_pool.hpp"
#include "reverse-proxy/limits.hpp"
#include "reverse-proxy/listeners.hpp"
#include "reverse-proxy/live_routes.hpp"
#include "reverse-proxy/metrics.hpp"
#include "reverse-proxy/rules/password_checker.hpp"
#include "reverse-proxy/tls/stream.hpp"
#include "reverse-proxy/traffic.hpp"
#include "reverse-proxy/upstream_pool.hpp"

namespace karreg::proxy {

class Session;
class TcpSession;
class Turn;
class UdpFlow;
class UdpService;
namespace http2 {
class Session;
}
using SessionHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>>;
using SessionList = boost::intrusive::list<Session, boost::intrusive::base_hook<SessionHook>>;
class TcpSessionHook : public boost::intrusive::list_base_hook<
                           boost::intrusive::link_mode<boost::intrusive::safe_link>> {};
using TcpSessionList =
    boost::intrusive::list<TcpSession, boost::intrusive::base_hook<TcpSessionHook>>;

/// What all workers are told at start.
struct ProxyOptions {
  Limits limits;
  int workers = 1;
  Endpoint listen{"127.0.0.1", 0};
  std::optional<Endpoint> tls_listen;  ///< nothing: no https
  bool proxy_protocol = false;   ///< each connection begins with a header of the PROXY protocol
  bool trust_forwarded = false;  ///< clients are proxies of ours: their X-Forwarded-* are true
  std::uint16_t https_port = 0;  ///< where https reaches us, if that is not our own port for it; 0:
                                 ///< then force_https has an effect only if we speak https
};

/// A connection that was taken from a listener.
struct Accepted {
  int fd = -1;
  std::string client;  ///< its address
  const Door* door = nullptr;
};

class Worker {
 public:
  /// What all workers share; it stays alive as long as this.
  struct Shared {
    AccessLog& access_log;
    tls::TicketKeys& ticket_keys;
    rules::PasswordChecker& password_checker;
    HeldApps& held_apps;
  };
  Worker(const ProxyOptions& options, const Shared& shared);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Takes connections from @p listener. Before run().
  void listen_on(Listener listener);
  /// Starts the thread.
  void run();
  /// Any thread: takes connections of the TCP service of @p port from @p sockets, as long as there
  /// is a route for it; before there is one, or when this worker drains, they are closed.
  void open_port(std::uint16_t port, std::vector<Descriptor> sockets);
  /// Any thread: from then on requests are routed by @p routes; @p done runs on the worker.
  void use(std::shared_ptr<const LiveRoutes> routes, std::function<void()> done);
  /// Any thread: handshakes take their certificates from @p certificates from now on.
  void use(std::shared_ptr<const tls::CertificateSet> certificates);
  /// Any thread: certificate authorities get their answers from @p challenges; @p done runs on the
  /// worker.
  void use(std::shared_ptr<const tls::Challenges> challenges, std::function<void()> done);
  /// Any thread: takes what waits to be accepted, closes the listener and idle connections, and
  /// lets each request in hand end its connection.
  void drain();
  /// Any thread: takes no new connections, and lets each that it has end with its next answer, or
  /// when it has been idle for its time: for a process whose successor takes the new ones.
  void leave();
  /// Waits up to @p grace for the sessions, then cuts them. Blocks. The thread goes on, so that
  /// routes can be taken over meanwhile and after.
  void finish(std::chrono::milliseconds grace);
  /// Ends the thread. Not while another thread is in use().
  void end();
  /// Any thread: closes all connections, so that a finish() that waits for them ends.
  void cut();
  /// Any thread; may be old by a moment.
  std::size_t open_sessions() const { return metrics_.connections_open.get(); }
  const WorkerMetrics& metrics() const { return metrics_; }
  /// Any thread: adds what this worker counted; @p done runs on the worker.
  void tell_traffic(std::shared_ptr<AllTraffic> all, std::function<void()> done);
  /// Any thread: adds what each instance has answered since the last call; @p done runs on the
  /// worker.
  void tell_answered(std::shared_ptr<std::map<std::string, Traffic>> to,
                     std::function<void()> done);
  /// Any thread: of the routes that it uses; 0: none yet.
  std::uint64_t version() const { return version_.load(std::memory_order_relaxed); }

  // What sessions use, on the worker's thread.
  const ProxyOptions& options() const { return options_; }
  const Limits& limits() const { return options_.limits; }
  const std::shared_ptr<const LiveRoutes>& routes() const { return routes_; }
  const tls::Context& tls() const { return tls_; }
  /// nullptr: there are none now.
  const tls::Challenges* challenges() const { return challenges_.get(); }
  /// Where a client is sent that must come by https; 0: there is no https.
  std::uint16_t https_port() const {
    return options_.https_port != 0 ? options_.https_port : tls_port_;
  }
  WorkerMetrics& count() { return metrics_; }
  TrafficTable& apps() { return apps_; }
  TrafficTable& instances() { return instances_; }
  AccessLog& access_log() { return access_log_; }
  UpstreamPool& pool() { return pool_; }
  /// Those that speak HTTP/1.1 by TLS as @p speech says, for requests to @p name.
  UpstreamPool& secure_pool(const std::shared_ptr<const rules::Speech>& speech,
                            std::string_view name);
  http2::ClientPool& http2_instances() { return http2_instances_; }
  BufferPool& buffers() { return buffers_; }
  rules::Passwords& passwords() { return passwords_; }
  rules::PasswordChecker& password_checker() { return password_checker_; }
  ConnectionList& swept() { return swept_; }
  std::unique_ptr<Turn> lend_turn();
  void take_back(std::unique_ptr<Turn> turn);
  std::uint64_t chance() { return random_(); }
  /// This worker's share of Limits::connections, which is as many requests in hand as well: one
  /// connection of HTTP/2 brings many.
  std::size_t most_connections() const {
    const auto share = options_.limits.connections / static_cast<std::size_t>(options_.workers);
    return std::max<std::size_t>(share, 1);
  }
  std::size_t& in_hand() { return in_hand_; }
  std::size_t& compressing() { return compressing_; }
  Holding& holding() { return holding_; }
  /// Reads on until the client closes, at most until @p by, after an answer that ends the
  /// connection: closing with unread bytes would reset it, and the answer with it.
  Task<void> linger(Connection& client, Buffer& unwanted, SteadyTime by);
  bool draining() const { return leaving_ || draining_; }
  /// As little time as possible: idle connections end.
  bool in_haste() const { return draining_; }
  /// The time to drain is over: what ends now without an answer is this proxy's doing.
  bool cutting() const { return cutting_; }
  Loop& loop() { return loop_; }

 private:
  friend class Session;
  friend class TcpSession;
  friend class UdpFlow;
  friend class UdpService;
  friend class http2::Session;
  class Accepting;
  struct Entrance {
    Door door;
    std::unique_ptr<Socket> socket;
  };
  void on_loop(std::function<void()> work);
  Task<void> accept_loop(const Entrance& entrance);
  Task<void> accept_tcp(std::shared_ptr<const Entrance> entrance);
  void accepted(Accepted connection);
  /// Of all kinds.
  std::size_t sessions() const { return sessions_.size() + tcp_sessions_.size() + udp_flows_; }
  Task<void> refuse(Accepted connection);
  void sweep();
  void close_entrances();
  void close_entrance(const Entrance& entrance);
  /// Those of TCP services that have no route any more.
  void close_ports();
  void leave_udp_ports();
  void start_leaving();
  void start_draining();
  void cut_all();
  void stop_if_done();

  const ProxyOptions& options_;
  AccessLog& access_log_;
  rules::PasswordChecker& password_checker_;
  Loop loop_;
  rules::Passwords passwords_{loop_};
  std::deque<Entrance> entrances_;  ///< a deque: sessions know their doors
  std::multimap<std::uint16_t, std::shared_ptr<const Entrance>> ports_;  ///< of TCP services
  std::multimap<std::uint16_t, std::shared_ptr<UdpService>> udp_ports_;
  std::size_t udp_flows_ = 0;
  std::uint16_t tls_port_ = 0;
  tls::Context tls_;
  std::shared_ptr<const LiveRoutes> routes_;
  std::shared_ptr<const tls::Challenges> challenges_;
  WorkerMetrics metrics_;
  Holding holding_;
  TrafficTable apps_;
  TrafficTable instances_;
  std::atomic<std::uint64_t> version_{0};  ///< of routes_
  ConnectionList swept_;                   ///< before all that holds connections
  BufferPool buffers_;
  UpstreamPool pool_;
  std::map<std::pair<std::shared_ptr<const rules::Speech>, std::string>, UpstreamPool>
      secure_pools_;
  http2::ClientPool http2_instances_{*this};
  std::mt19937_64 random_{std::random_device{}()};
  std::vector<std::unique_ptr<Turn>> spare_turns_;
  SessionList sessions_;
  TcpSessionList tcp_sessions_;
  std::set<http2::Session*> http2_sessions_;
  bool leaving_ = false;
  bool draining_ = false;
  bool cutting_ = false;
  std::size_t refusing_ = 0;
  std::size_t in_hand_ = 0;
  std::size_t compressing_ = 0;
  int sweeps_ = 0;
  SteadyTime cut_at_ = SteadyTime::max();  ///< the time to drain is over
  std::promise<void>* stopped_ = nullptr;  ///< who waits for the last task
  std::thread thread_;
};

}  // namespace karreg::proxy
