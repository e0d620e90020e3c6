#include "reverse-proxy/daemon.hpp"

#include <unistd.h>

#include <csignal>
#include <set>
#include <sstream>

#include "common/async/offload.hpp"
#include "common/async/run.hpp"
#include "common/log.hpp"
#include "common/open_files.hpp"
#include "reverse-proxy/access_streams.hpp"
#include "reverse-proxy/admin.hpp"
#include "reverse-proxy/certificate_control.hpp"
#include "reverse-proxy/certificates.hpp"
#include "reverse-proxy/control.hpp"
#include "reverse-proxy/ctl/server.hpp"
#include "reverse-proxy/master/line.hpp"
#include "reverse-proxy/master/orders.hpp"
#include "reverse-proxy/sandbox.hpp"
#include "reverse-proxy/threads.hpp"
#include "reverse-proxy/traffic_reports.hpp"

namespace karreg::proxy {

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// Of one request: its client's and its backend's.
constexpr std::size_t files_of_a_connection = 2;
/// Of a port: for connections, for datagrams.
constexpr std::size_t kinds_of_sockets = 2;
/// How soon a process that leaves sees that its last connection has ended.
constexpr auto look_every = 100ms;

ProxyOptions within_open_files(const Settings& settings) {
  auto options = settings.options;
  const auto of_ports = settings.tcp_listen.empty() ? 0 : settings.tcp_ports.size();
  options.limits.connections =
      possible_connections(options.limits.connections, files_of_a_connection,
                           of_ports * kinds_of_sockets * static_cast<std::size_t>(options.workers));
  return options;
}

/// Nothing: no key is given.
Result<std::optional<crypto::Vault>> open_vault(const std::string& key_file) {
  if (key_file.empty()) return std::nullopt;
  auto vault = crypto::Vault::open_existing(key_file);
  if (!vault) return vault.error();
  return std::optional<crypto::Vault>(vault->for_certificates());
}

class Daemon {
 public:
  Daemon(const Settings& settings, const Inheritance& inheritance, AccessLog& access_log,
         std::optional<crypto::Vault> vault)
      : settings_(settings),
        number_(inheritance.number),
        proxy_(within_open_files(settings), access_log),
        control_(settings.id, settings.saved_routes, settings.broker, proxy_),
        traffic_(settings.id, settings.broker, proxy_),
        certificates_(settings.certificates, proxy_),
        certificate_control_(settings.id, settings.saved_certificates, settings.broker,
                             std::move(vault), proxy_, certificates_),
        admin_(io_.get_executor(), proxy_, control_),
        ctl_(io_, inheritance.number, proxy_, control_),
        orders_(io_.get_executor(), inheritance.line),
        admin_listener_(inheritance.admin) {
    take_over(inheritance.plain, false);
    take_over(inheritance.tls, true);
    // On this line's thread, in the order in which tables are used.
    proxy_.when_ports_change([this](const std::set<std::uint16_t>& needed) {
      asio::post(io_, [this, needed] { ask_for(needed); });
    });
  }

  Result<void> run();

 private:
  void take_over(const std::vector<int>& sockets, bool tls);
  /// Sockets of TCP services, which the master opens.
  void ask_for(const std::set<std::uint16_t>& ports);
  void take_sockets(Orders::Order order);
  void take_refusal(const std::string& sentence);
  awaitable<void> obey();
  awaitable<void> serve();
  awaitable<void> step_aside();
  awaitable<void> leave();
  awaitable<void> drain();

  const Settings& settings_;
  const int number_;
  Proxy proxy_;
  Control control_;
  TrafficReports traffic_;
  Certificates certificates_;
  CertificateControl certificate_control_;
  asio::io_context io_;
  Admin admin_;
  CtlServer ctl_;
  Orders orders_;
  std::vector<Listener> listeners_;
  Descriptor admin_listener_;
  asio::thread_pool pool_{1};
  bool draining_ = false;
  Result<void> outcome_;
};

void Daemon::take_over(const std::vector<int>& sockets, bool tls) {
  for (const int fd : sockets) {
    Descriptor socket(fd);
    const Door door{port_of(socket), tls};
    listeners_.push_back({door, std::move(socket)});
  }
}

void Daemon::ask_for(const std::set<std::uint16_t>& ports) {
  std::string list;
  for (const auto port : ports) {
    // The others would be refused, and there may be any number of them.
    if (settings_.tcp_ports.contains(port))
      list += fmt::format("{}{}", list.empty() ? "" : ",", port);
    else
      proxy_.port_refused(port, "it is not among those of setting tcp.ports");
  }
  orders_.say(line::tcp_ports, list);
}

void Daemon::take_sockets(Orders::Order order) {
  std::map<std::uint16_t, std::vector<Descriptor>> by_port;
  std::istringstream list(order.sentence);
  auto socket = order.descriptors.begin();
  for (std::string number; std::getline(list, number, ',') && socket != order.descriptors.end();
       ++socket)
    by_port[port_of(*socket)].push_back(std::move(*socket));
  // The system has passed on fewer than the master has sent.
  if (list) log::error("no open files are left for the ports of TCP services");
  for (auto& [port, sockets] : by_port) proxy_.open_port(port, std::move(sockets));
  orders_.say(line::tcp_taken);
}

void Daemon::take_refusal(const std::string& sentence) {
  std::istringstream words(sentence);
  std::uint16_t port = 0;
  std::string why;
  if (words >> port && std::getline(words >> std::ws, why)) proxy_.port_refused(port, why);
}

awaitable<void> Daemon::serve() {
  auto start_serving = [this] {
    // Here and not before: until now the file was another process's, which may have changed it.
    control_.restore();
    certificate_control_.restore();
    proxy_.start(std::move(listeners_));
    // The workers' threads are there; those that come now are for what can wait.
    step_behind_workers();
    control_.start();
    traffic_.start();
    certificate_control_.start();
  };
  co_await offload(pool_, start_serving);
  outcome_ = admin_.start(std::move(admin_listener_));
  if (!outcome_) {
    io_.stop();
    co_return;
  }
  if (auto started = ctl_.start(ctl_socket(settings_.saved_routes)); !started)
    log::error("karreg-proxy ctl and top cannot reach this process",
               {log::field("why", started.error().message())});
  log::info("proxy is up",
            {log::field("port", proxy_.port()), log::field("tls_port", proxy_.tls_port()),
             log::field("admin_port", admin_.port()), log::field("process", number_),
             log::field("workers", settings_.options.workers)});
  orders_.say(line::serves);
}

awaitable<void> Daemon::step_aside() {
  const auto name = fmt::format("{}-leaving-{}", settings_.id, ::getpid());
  const auto aside = co_await offload(pool_, [this, &name] {
    auto done = control_.step_aside(name);
    // Who takes over speaks for this proxy; no new handshake comes here.
    if (done) certificate_control_.stop();
    if (done) traffic_.report_as(name);
    return done;
  });
  if (aside)
    orders_.say(line::aside);
  else
    orders_.say(line::stays, aside.error().message());
}

awaitable<void> Daemon::leave() {
  log::info("leaving: another process serves",
            {log::field("connections", proxy_.open_connections())});
  proxy_.leave();
  co_await admin_.stop(look_every);
  co_await ctl_.stop();
  const auto by = steady_clock::now() + settings_.leave_time;
  asio::steady_timer timer(io_);
  while (!draining_ && proxy_.open_connections() > 0 && steady_clock::now() < by) {
    timer.expires_after(look_every);
    co_await timer.async_wait(as_result);
  }
  if (draining_) co_return;
  co_await drain();
  io_.stop();
}

awaitable<void> Daemon::drain() {
  if (std::exchange(draining_, true)) co_return;
  admin_.say_stopping();
  auto stop_serving = [this] {
    // Reports go on meanwhile: instances that left the routes stay as long as requests of this
    // proxy are in flight there.
    const auto cut = proxy_.stop(settings_.drain_time);
    if (cut == 0)
      log::info("drained");
    else
      log::warn(fmt::format("drained, {} requests cut", cut));
    certificate_control_.stop();
    traffic_.stop();
    control_.say_goodbye();
    control_.stop();
  };
  co_await offload(pool_, stop_serving);
  co_await ctl_.stop();
  co_await admin_.stop(100ms);
}

awaitable<void> Daemon::obey() {
  for (;;) {
    auto order = co_await orders_.next();
    const auto word = order.word;
    if (word.empty()) {
      // The kernel ends us with the master (child.cpp); where it does not, nobody else would.
      log::error("the master is gone");
      std::raise(SIGTERM);
      co_return;
    }
    if (word == line::serve)
      co_await serve();
    else if (word == line::step_aside)
      co_await step_aside();
    else if (word == line::come_back)
      co_await offload(pool_, [this] {
        control_.come_back();
        traffic_.report_as(settings_.id);
        certificate_control_.start();
      });
    else if (word == line::leave)
      co_await leave();
    else if (word == line::tcp_sockets)
      take_sockets(std::move(order));
    else if (word == line::tcp_refused)
      take_refusal(order.sentence);
    else
      log::error("the master says what is not known here", {log::field("word", word)});
  }
}

Result<void> Daemon::run() {
  step_behind_workers();
  asio::co_spawn(io_, obey(), asio::detached);
  orders_.say(line::ready);
  run_until_signal(io_, [this] { return drain(); });
  // A second signal ends the event loop before the drain is through.
  proxy_.cut();
  pool_.join();
  // Before what tells of visitors is gone none may come any more.
  proxy_.stop(0ms);
  return outcome_;
}

}  // namespace

Result<void> run_daemon(const Settings& settings, const Inheritance& inheritance) {
  auto access_log = AccessLog::open(settings.access_log, settings.access_log_format);
  if (!access_log) return access_log.error();
  // Its file is not for the user that the process becomes.
  auto vault = open_vault(settings.key_file);
  if (!vault) return vault.error();
  Result<void> confined;
  if (!settings.user.empty())
    confined = become_user(settings.user, settings.saved_routes.parent_path());
  if (confined && settings.sandbox) confined = forbid_other_calls();
  if (!confined) return confined;
  std::unique_ptr<AccessStreams> streams;
  if (settings.access_streams) {
    streams = std::make_unique<AccessStreams>(settings.broker);
    (*access_log)->also_tell(streams.get());
  }
  return Daemon(settings, inheritance, **access_log, std::move(*vault)).run();
}

}  // namespace karreg::proxy
