#include "reverse-proxy/worker.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "common/log.hpp"
#include "reverse-proxy/answers.hpp"
#include "reverse-proxy/http2/session.hpp"
#include "reverse-proxy/session.hpp"
#include "reverse-proxy/tcp_session.hpp"
#include "reverse-proxy/threads.hpp"
#include "reverse-proxy/udp_service.hpp"

namespace karreg::proxy {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {
/// Precision of all deadlines.
constexpr auto sweep_every = 100ms;
/// Connections over the limit that are held until their clients have read why; further ones are
/// closed at once, which some clients see as a reset without an answer.
constexpr std::size_t max_refusing = 64;
/// What a client may still send while it has not read our answer.
constexpr std::size_t max_lingering_bytes = 4UL * 1024 * 1024;
/// Those wait for it that are further.
constexpr int accepts_in_a_row = 4;
/// Each costs a handshake's arithmetic.
constexpr int handshakes_in_a_row = 1;
/// Clients are looked at for having left every so many sweeps.
constexpr int look_every = 10;
/// Of requests that have ended, kept with their memory for the next ones.
constexpr std::size_t max_spare_turns = 256;

/// The next one that waits; without a descriptor, and errno, when there is none.
Accepted accept_from(const Socket& listener, const Door& door) {
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  const int fd = ::accept4(listener.fd(), reinterpret_cast<sockaddr*>(&from), &size,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return {};
  return {fd, address_text(from), &door};
}

error_code last_error() {
  return {errno, boost::system::system_category()};
}
}  // namespace

Worker::Worker(const ProxyOptions& options, const Shared& shared)
    : options_(options),
      access_log_(shared.access_log),
      password_checker_(shared.password_checker),
      tls_(shared.ticket_keys),
      holding_(loop_, options.limits, options.workers, shared.held_apps, metrics_),
      buffers_(options.limits.buffer_bytes),
      pool_(options.limits.idle_per_backend, options.limits.backend_idle_time) {
  tls_.ask_by([this](const std::string& host) {
    return routes_ ? routes_->client_check(host) : tls::ClientCheck{};
  });
  loop_.every(sweep_every, [this] { sweep(); });
  loop_.when_idle([this] { stop_if_done(); });
}

Worker::~Worker() {
  finish(0ms);
  end();
}

void Worker::listen_on(Listener listener) {
  if (listener.door.tls) tls_port_ = listener.door.port;
  entrances_.push_back({listener.door, std::make_unique<Socket>(loop_, listener.socket.release())});
}

void Worker::run() {
  for (const auto& entrance : entrances_) loop_.spawn("accept", accept_loop(entrance));
  thread_ = std::thread([this] {
    name_this_thread("worker");
    loop_.run();
  });
}

void Worker::use(std::shared_ptr<const LiveRoutes> routes, std::function<void()> done) {
  auto take_over = [this, routes = std::move(routes), done = std::move(done)] {
    // A reference count of the worker's own: requests touch no memory that other cores write.
    auto own = std::make_shared<std::shared_ptr<const LiveRoutes>>(routes);
    routes_ = std::shared_ptr<const LiveRoutes>(own, own->get());
    version_.store(routes_->version(), std::memory_order_relaxed);
    close_ports();
    holding_.use(routes_.get());
    done();
  };
  on_loop(std::move(take_over));
}

void Worker::open_port(std::uint16_t port, std::vector<Descriptor> sockets) {
  auto all = std::make_shared<std::vector<Descriptor>>(std::move(sockets));
  on_loop([this, port, all = std::move(all)] {
    if (draining() || !routes_ || routes_->find_tcp(port) == nullptr) return;
    for (auto& socket : *all) {
      if (is_for_datagrams(socket)) {
        auto service = std::make_shared<UdpService>(*this, port, std::move(socket));
        udp_ports_.emplace(port, service);
        loop_.spawn("udp", UdpService::serve(std::move(service)));
        continue;
      }
      auto entrance = std::make_shared<const Entrance>(Entrance{
          Door{.port = port, .tcp = true}, std::make_unique<Socket>(loop_, socket.release())});
      ports_.emplace(port, entrance);
      loop_.spawn("accept", accept_tcp(std::move(entrance)));
    }
  });
}

Task<void> Worker::accept_tcp(std::shared_ptr<const Entrance> entrance) {
  co_await accept_loop(*entrance);
}

void Worker::close_ports() {
  std::erase_if(ports_, [this](const auto& port) {
    if (routes_->find_tcp(port.first) != nullptr) return false;
    // Who waits is reset with the socket, which the master closes.
    port.second->socket->close_shared();
    return true;
  });
  for (const auto& [port, service] : udp_ports_)
    if (routes_->find_tcp(port) == nullptr) service->cut("its port was given back");
  std::erase_if(udp_ports_, [](const auto& port) { return port.second->is_over(); });
}

void Worker::leave_udp_ports() {
  for (const auto& [port, service] : udp_ports_) service->leave();
}

void Worker::use(std::shared_ptr<const tls::CertificateSet> certificates) {
  on_loop([this, certificates = std::move(certificates)] { tls_.use(certificates); });
}

void Worker::tell_traffic(std::shared_ptr<AllTraffic> all, std::function<void()> done) {
  on_loop([this, all = std::move(all), done = std::move(done)] {
    for (auto* table : {&apps_, &instances_}) table->forget_idle(steady_clock::now());
    apps_.add_to(all->apps);
    instances_.add_to(all->instances);
    done();
  });
}

void Worker::tell_answered(std::shared_ptr<std::map<std::string, Traffic>> to,
                           std::function<void()> done) {
  on_loop([this, to = std::move(to), done = std::move(done)] {
    instances_.forget_idle(steady_clock::now());
    instances_.move_news(*to);
    done();
  });
}

void Worker::use(std::shared_ptr<const tls::Challenges> challenges, std::function<void()> done) {
  on_loop([this, challenges = std::move(challenges), done = std::move(done)] {
    challenges_ = challenges->empty() ? nullptr : challenges;
    tls_.use(challenges);
    done();
  });
}

void Worker::on_loop(std::function<void()> work) {
  if (thread_.joinable())
    loop_.post(std::move(work));
  else
    work();
}

/// The next connection of a listener, or the error that accept() gave.
class [[nodiscard]] Worker::Accepting final : public Operation {
 public:
  explicit Accepting(const Entrance& entrance) : entrance_(entrance) {}
  bool await_ready() { return attempt(); }
  void await_suspend(std::coroutine_handle<> coroutine) {
    waiting = coroutine;
    waited_ = true;
    entrance_.socket->wait_to_read(*this);
  }
  Accepted await_resume() { return std::move(accepted_); }
  /// None was there at first.
  bool waited() const { return waited_; }
  bool attempt() override {
    auto& socket = *entrance_.socket;
    if (!socket.is_open()) {
      error = aborted();
      return true;
    }
    if (!socket.may_read()) return false;
    accepted_ = accept_from(socket, entrance_.door);
    if (accepted_.fd >= 0) return true;
    if (errno == EAGAIN) {
      socket.nothing_to_read();
      return false;
    }
    error = last_error();
    return true;
  }

 private:
  const Entrance& entrance_;
  Accepted accepted_;
  bool waited_ = false;
};

Task<void> Worker::accept_loop(const Entrance& entrance) {
  const int most = entrance.door.tls ? handshakes_in_a_row : accepts_in_a_row;
  for (int in_a_row = 0; entrance.socket->is_open();) {
    // However fast they come, those that are there have their turns.
    if (++in_a_row > most) {
      in_a_row = 1;
      co_await loop_.yield();
    }
    Accepting next(entrance);
    auto connection = co_await next;
    if (next.waited()) in_a_row = 1;
    if (connection.fd >= 0) {
      accepted(std::move(connection));
      continue;
    }
    if (!entrance.socket->is_open()) co_return;
    // Out of descriptors or memory: others will be given back.
    if (next.error.value() != ECONNABORTED && next.error.value() != EINTR) {
      log::error("cannot accept", {log::field("why", next.error.message())});
      co_await loop_.sleep_for(100ms);
    }
  }
}

void Worker::accepted(Accepted connection) {
  metrics_.connections_accepted.add();
  if (sessions() >= most_connections()) {
    metrics_.connections_refused.add();
    if (connection.door->tcp) {
      // There is nothing that could be said: a reset comes at once, and is not taken for an end.
      const struct linger hard{1, 0};
      (void)::setsockopt(connection.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
      ::close(connection.fd);
      return;
    }
    if (refusing_ < max_refusing) {
      ++refusing_;
      loop_.spawn("refuse", refuse(std::move(connection)));
      return;
    }
    if (!connection.door->tls) {
      const auto text = render(too_many_connections(), {});
      (void)!::send(connection.fd, text.data(), text.size(), MSG_NOSIGNAL);
    }
    ::close(connection.fd);
    return;
  }
  if (connection.door->tcp)
    loop_.spawn("tcp", TcpSession::serve(*this, std::move(connection)));
  else
    loop_.spawn("session", Session::serve(*this, std::move(connection)));
}

Task<void> Worker::refuse(Accepted connection) {
  struct Place {
    explicit Place(std::size_t& n) : taken(n) {}
    ~Place() { --taken; }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    std::size_t& taken;
  };
  const Place place(refusing_);
  Connection client(loop_, connection.fd, buffers_, swept_);
  const auto by = steady_clock::now() + options_.limits.linger_time;
  // Behind a balancer its header would have to be read first: too much for who is sent away.
  if (options_.proxy_protocol) co_return;
  if (connection.door->tls) {
    const auto status = co_await client.secure(tls_, by);
    if (status == tls::Stream::Status::failed) co_return;
  }
  const auto text = render(too_many_connections(), {});
  const auto ec = co_await client.write(text, by);
  if (ec) co_return;
  client.shutdown_send();
  Buffer unwanted;
  co_await linger(client, unwanted, by);
}

Task<void> Worker::linger(Connection& client, Buffer& unwanted, SteadyTime by) {
  for (std::size_t total = 0; total < max_lingering_bytes;) {
    unwanted.clear();
    const auto read = co_await client.read_some(unwanted, by);
    if (!read.ok()) break;
    total += read.bytes;
  }
  buffers_.take_back(unwanted);
}

std::unique_ptr<Turn> Worker::lend_turn() {
  if (spare_turns_.empty()) return std::make_unique<Turn>(*this);
  auto turn = std::move(spare_turns_.back());
  spare_turns_.pop_back();
  return turn;
}

void Worker::take_back(std::unique_ptr<Turn> turn) {
  if (spare_turns_.size() < max_spare_turns) spare_turns_.push_back(std::move(turn));
}

void Worker::sweep() {
  const auto now = loop_.now();
  if (now >= cut_at_) cut_all();
  sweeps_ = (sweeps_ + 1) % look_every;
  for (auto& connection : swept_) connection.sweep(now, sweeps_ == 0);
  for (auto* session : http2_sessions_) session->sweep(now);
  for (const auto& [port, service] : udp_ports_) service->sweep(now);
  holding_.sweep(now);
  pool_.sweep(now);
  for (auto it = secure_pools_.begin(); it != secure_pools_.end();) {
    it->second.sweep(now);
    it = it->second.size() == 0 ? secure_pools_.erase(it) : std::next(it);
  }
  http2_instances_.sweep(now);
  // What waits for requests that do not come any more is all that is left.
  if (stopped_ != nullptr && loop_.tasks() == http2_instances_.tasks()) http2_instances_.leave();
}

UpstreamPool& Worker::secure_pool(const std::shared_ptr<const rules::Speech>& speech,
                                  std::string_view name) {
  return secure_pools_
      .try_emplace({speech, std::string(name)}, options_.limits.idle_per_backend,
                   options_.limits.backend_idle_time)
      .first->second;
}

void Worker::close_entrances() {
  for (const auto& entrance : entrances_) close_entrance(entrance);
  for (const auto& [port, entrance] : ports_) close_entrance(*entrance);
  ports_.clear();
  leave_udp_ports();
}

void Worker::close_entrance(const Entrance& entrance) {
  if (!entrance.socket->is_open()) return;
  // Who is in the queue was promised an answer by the kernel. More than it holds came since.
  for (int taken = 0; taken < listen_backlog; ++taken) {
    auto connection = accept_from(*entrance.socket, entrance.door);
    if (connection.fd < 0) break;
    accepted(std::move(connection));
  }
  entrance.socket->close_shared();
}

void Worker::start_leaving() {
  if (draining()) return;
  leaving_ = true;
  close_entrances();
  for (auto& session : sessions_) session.leave();
}

void Worker::start_draining() {
  if (draining_) return;
  draining_ = true;
  close_entrances();
  for (auto& session : sessions_) session.drain();
}

void Worker::leave() {
  loop_.post([this] { start_leaving(); });
}

void Worker::drain() {
  loop_.post([this] { start_draining(); });
}

void Worker::cut_all() {
  cutting_ = true;
  for (auto& session : tcp_sessions_) session.cut();
  for (const auto& [port, service] : udp_ports_) service->cut("cut: the proxy stopped");
  for (auto& connection : swept_) connection.close();
}

void Worker::cut() {
  loop_.post([this] { cut_all(); });
}

void Worker::stop_if_done() {
  if (stopped_ == nullptr || loop_.tasks() > 0) return;
  pool_.clear();
  secure_pools_.clear();
  std::exchange(stopped_, nullptr)->set_value();
}

void Worker::finish(std::chrono::milliseconds grace) {
  if (!thread_.joinable()) return;
  std::promise<void> stopped;
  loop_.post([this, grace, &stopped] {
    start_draining();
    stopped_ = &stopped;
    cut_at_ = steady_clock::now() + grace;
    if (grace == 0ms) cut_all();
    stop_if_done();
  });
  stopped.get_future().wait();
}

void Worker::end() {
  if (!thread_.joinable()) return;
  loop_.stop();
  thread_.join();
}

}  // namespace karreg::proxy
