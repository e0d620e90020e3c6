#include "reverse-proxy/proxy.hpp"

#include <array>
#include <condition_variable>
#include <set>

#include "common/log.hpp"

namespace karreg::proxy {

using namespace std::chrono_literals;

namespace {
/// A worker does nothing that takes longer.
constexpr auto take_over_time = 5s;

/// How many workers still use the old table.
struct Countdown {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t left;
  explicit Countdown(std::size_t n) : left(n) {}
  void one_less() {
    const std::lock_guard lock(mutex);
    --left;
    changed.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, take_over_time, [&] { return left == 0; });
  }
};
}  // namespace

Proxy::Proxy(ProxyOptions options, AccessLog& access_log)
    : options_(std::move(options)), access_log_(access_log) {
  KARREG_INVARIANT(options_.workers > 0);
  KARREG_INVARIANT(options_.limits.buffer_bytes >=
                   options_.limits.head.bytes + options_.limits.whole_body_bytes);
  for (int i = 0; i < options_.workers; ++i)
    workers_.push_back(std::make_unique<Worker>(
        options_, Worker::Shared{access_log_, ticket_keys_, password_checker_, held_apps_}));
}

Proxy::~Proxy() {
  stop(0ms);
}

Result<void> Proxy::start() {
  std::vector<Listener> all;
  auto open = [&](const Endpoint& at, bool tls, std::string_view setting) -> Result<void> {
    auto sockets = open_listeners(at, options_.workers, true, setting);
    if (!sockets) return sockets.error();
    for (auto& socket : *sockets) {
      const Door door{port_of(socket), tls};
      all.push_back({door, std::move(socket)});
    }
    return ok();
  };
  auto opened = open(options_.listen, false, "proxy.listen");
  if (opened && options_.tls_listen) opened = open(*options_.tls_listen, true, "proxy.tls_listen");
  if (!opened) return opened;
  start(std::move(all));
  return ok();
}

void Proxy::start(std::vector<Listener> listeners) {
  const std::lock_guard lock(mutex_);
  std::array<std::size_t, 2> taken{};
  for (auto& listener : listeners) {
    (listener.door.tls ? tls_port_ : port_) = listener.door.port;
    auto& count = taken.at(listener.door.tls ? 1 : 0);
    workers_.at(count++ % workers_.size())->listen_on(std::move(listener));
  }
  KARREG_INVARIANT(taken[0] >= workers_.size());
  KARREG_INVARIANT(taken[1] == 0 || taken[1] >= workers_.size());
  for (auto& worker : workers_) worker->run();
}

void Proxy::use(const std::shared_ptr<const tls::CertificateSet>& certificates) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  for (auto& worker : workers_) worker->use(certificates);
}

Result<void> Proxy::use(const std::shared_ptr<const tls::Challenges>& challenges) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return Error(ErrorKind::unavailable, "the proxy has stopped");
  auto countdown = std::make_shared<Countdown>(workers_.size());
  for (auto& worker : workers_) worker->use(challenges, [countdown] { countdown->one_less(); });
  if (!countdown->wait())
    return Error(ErrorKind::timeout, "a worker did not take over the new challenges");
  return ok();
}

Result<void> Proxy::use(const RouteTable& table) {
  const std::lock_guard lock(mutex_);
  const auto live = std::make_shared<const LiveRoutes>(table, Bindings{registry_, rules_});
  auto switched = switch_to(live);
  if (!switched) return switched;
  registry_.keep_only(live->backends());
  settled_ = true;
  return ok();
}

Result<void> Proxy::use(const RouteTable& table, const wire::RouteUpdate& update) {
  {
    const std::lock_guard lock(mutex_);
    if (settled_ && live_->version() == update.base && table.version() == update.version) {
      LiveRoutes::Changed changed{{}, update.about_tcp()};
      for (const auto& route : update.upserts) changed.hosts.insert(route.host);
      for (const auto& key : update.removes) changed.hosts.insert(key.host);
      const auto before = live_;
      const auto live =
          std::make_shared<const LiveRoutes>(*before, table, changed, Bindings{registry_, rules_});
      auto switched = switch_to(live);
      if (!switched) return switched;
      std::vector<std::shared_ptr<Backend>> came;
      std::vector<std::shared_ptr<Backend>> left;
      for (const auto& host : changed.hosts) {
        append_backends(came, live->of_host(host));
        append_backends(left, before->of_host(host));
      }
      if (changed.tcp) {
        append_backends(came, live->tcp());
        append_backends(left, before->tcp());
      }
      registry_.change(came, left);
      settled_ = true;
      return ok();
    }
  }
  return use(table);
}

Result<void> Proxy::switch_to(const std::shared_ptr<const LiveRoutes>& live) {
  if (stopped_) return Error(ErrorKind::unavailable, "the proxy has stopped");
  settled_ = false;
  auto countdown = std::make_shared<Countdown>(workers_.size());
  for (auto& worker : workers_) worker->use(live, [countdown] { countdown->one_less(); });
  if (!countdown->wait())
    return Error(ErrorKind::timeout, "a worker did not take over the new routes");
  const bool same_ports = live_ && &live_->tcp() == &live->tcp();
  live_ = live;
  if (!same_ports) tell_ports(live->tcp());
  return ok();
}

void Proxy::when_ports_change(std::function<void(const std::set<std::uint16_t>&)> tell) {
  const std::lock_guard lock(mutex_);
  tell_ports_ = std::move(tell);
}

void Proxy::tell_ports(const TcpRoutes& routes) {
  std::set<std::uint16_t> needed;
  for (const auto& [port, route] : routes) needed.insert(port);
  if (told_ports_ == needed) return;
  {
    const std::lock_guard lock(ports_mutex_);
    std::erase_if(ports_, [&](const auto& port) { return !needed.contains(port.first); });
    for (const auto port : needed) ports_.try_emplace(port, "waits for its socket");
  }
  told_ports_ = needed;
  if (tell_ports_) tell_ports_(needed);
}

void Proxy::open_port(std::uint16_t port, std::vector<Descriptor> sockets) {
  {
    const std::lock_guard lock(ports_mutex_);
    const auto known = ports_.find(port);
    if (known == ports_.end()) return;
    known->second = "open";
  }
  // Each port begins at another worker, so that where there are fewer sockets than workers not all
  // services are at the same ones.
  std::vector<std::vector<Descriptor>> shares(workers_.size());
  for (std::size_t i = 0; i < sockets.size(); ++i)
    shares[(port + i) % workers_.size()].push_back(std::move(sockets[i]));
  for (std::size_t i = 0; i < shares.size(); ++i)
    if (!shares[i].empty()) workers_[i]->open_port(port, std::move(shares[i]));
}

void Proxy::port_refused(std::uint16_t port, std::string why) {
  const std::lock_guard lock(ports_mutex_);
  const auto known = ports_.find(port);
  if (known != ports_.end() && known->second != "open") known->second = std::move(why);
}

std::map<std::uint16_t, std::string> Proxy::tcp_ports() {
  const std::lock_guard lock(ports_mutex_);
  return ports_;
}

Proxy::InUse Proxy::in_use() {
  const std::lock_guard lock(mutex_);
  return {live_ ? live_->version() : 0, registry_.draining()};
}

std::shared_ptr<const LiveRoutes> Proxy::live_routes() {
  const std::lock_guard lock(mutex_);
  return live_;
}

Result<AllTraffic> Proxy::traffic() {
  auto sum = std::make_shared<AllTraffic>();
  // One after the other: they add to the same.
  for (auto& worker : workers_) {
    auto countdown = std::make_shared<Countdown>(1);
    worker->tell_traffic(sum, [countdown] { countdown->one_less(); });
    if (!countdown->wait()) return Error(ErrorKind::timeout, "a worker does not tell its counters");
  }
  return std::move(*sum);
}

std::vector<ActiveBackend> Proxy::active() {
  const std::lock_guard lock(mutex_);
  return registry_.active();
}

Result<std::map<std::string, Traffic>> Proxy::answered() {
  auto sum = std::make_shared<std::map<std::string, Traffic>>();
  for (auto& worker : workers_) {
    auto countdown = std::make_shared<Countdown>(1);
    worker->tell_answered(sum, [countdown] { countdown->one_less(); });
    if (!countdown->wait()) return Error(ErrorKind::timeout, "a worker does not tell its counters");
  }
  return std::move(*sum);
}

std::vector<std::uint64_t> Proxy::versions() const {
  std::vector<std::uint64_t> all;
  all.reserve(workers_.size());
  for (const auto& worker : workers_) all.push_back(worker->version());
  return all;
}

std::string Proxy::metrics() {
  auto told = traffic();
  if (!told) log::error(told.error().message());
  std::vector<const WorkerMetrics*> counted;
  counted.reserve(workers_.size());
  for (const auto& worker : workers_) counted.push_back(&worker->metrics());
  const std::lock_guard lock(mutex_);
  const auto backends = registry_.in_table();
  return render_metrics(counted, live_ ? live_->version() : 0, backends, registry_.draining(),
                        told ? *told : AllTraffic{}, access_log_);
}

std::size_t Proxy::open_connections() const {
  std::size_t total = 0;
  for (const auto& worker : workers_) total += worker->open_sessions();
  return total;
}

void Proxy::drain() {
  for (auto& worker : workers_) worker->drain();
}

void Proxy::leave() {
  for (auto& worker : workers_) worker->leave();
}

void Proxy::cut() {
  for (auto& worker : workers_) worker->cut();
}

std::uint64_t Proxy::stop(std::chrono::milliseconds grace) {
  drain();
  std::vector<std::thread> stopping;
  stopping.reserve(workers_.size());
  for (auto& worker : workers_) stopping.emplace_back([&worker, grace] { worker->finish(grace); });
  for (auto& thread : stopping) thread.join();
  // After a use() that is under way: it waits for the workers.
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  std::uint64_t cut = 0;
  for (auto& worker : workers_) {
    worker->end();
    cut += worker->metrics().cut.get();
  }
  return cut;
}

}  // namespace karreg::proxy
