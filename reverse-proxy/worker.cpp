#include "reverse-proxy/worker.hpp"

#include <sys/socket.h>

#include <future>

#include "common/log.hpp"
#include "reverse-proxy/answers.hpp"
#include "reverse-proxy/session.hpp"

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
/// Clients are looked at for having left every so many sweeps.
constexpr int look_every = 10;
}  // namespace

Worker::Worker(const ProxyOptions& options, AccessLog& access_log)
    : options_(options),
      access_log_(access_log),
      buffers_(options.limits.buffer_bytes),
      pool_(options.limits.idle_per_backend, options.limits.backend_idle_time) {}

Worker::~Worker() {
  finish(0ms);
  end();
}

Result<void> Worker::listen(std::uint16_t port) {
  const auto& host = options_.listen.host;
  error_code ec;
  const auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, ec);
  const asio::ip::tcp::endpoint endpoint(address, port);
  if (!ec) acceptor_.open(endpoint.protocol(), ec);
  if (!ec) acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
  const int on = 1;
  // Each worker has a queue of its own at the same port; the kernel spreads connections over them.
  if (!ec && ::setsockopt(acceptor_.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
    ec = error_code(errno, boost::system::system_category());
  if (!ec) acceptor_.bind(endpoint, ec);
  if (!ec) acceptor_.listen(4096, ec);
  if (ec)
    return Error(ErrorKind::unavailable, "setting proxy.listen: cannot listen on " + host + ":" +
                                             std::to_string(port) + ": " + ec.message());
  port_ = acceptor_.local_endpoint().port();
  return ok();
}

void Worker::run() {
  house_group_.spawn("accept", accept_loop());
  house_group_.spawn("sweep", sweep_loop());
  thread_ = std::thread([this] {
    const auto until_end = asio::make_work_guard(io_);
    io_.run();
  });
}

void Worker::use(std::shared_ptr<const LiveRoutes> routes, std::function<void()> done) {
  auto take_over = [this, routes = std::move(routes), done = std::move(done)] {
    // A reference count of the worker's own: requests touch no memory that other cores write.
    auto own = std::make_shared<std::shared_ptr<const LiveRoutes>>(routes);
    routes_ = std::shared_ptr<const LiveRoutes>(own, own->get());
    done();
  };
  if (thread_.joinable())
    asio::post(io_, std::move(take_over));
  else
    take_over();
}

awaitable<void> Worker::accept_loop() {
  while (acceptor_.is_open()) {
    auto [ec, socket] = co_await acceptor_.async_accept(as_result);
    if (!ec) {
      accepted(std::move(socket));
      continue;
    }
    if (ec == asio::error::operation_aborted || !acceptor_.is_open()) co_return;
    // Out of descriptors or memory: others will be given back.
    if (ec != asio::error::connection_aborted) {
      log::error("cannot accept", {log::field("why", ec.message())});
      co_await sleep_for(100ms);
    }
  }
}

void Worker::accepted(asio::ip::tcp::socket socket) {
  metrics_.connections_accepted.add();
  error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  const auto most = options_.limits.connections / static_cast<std::size_t>(options_.workers);
  if (sessions_.size() >= std::max<std::size_t>(most, 1)) {
    metrics_.connections_refused.add();
    if (refusing_ < max_refusing) {
      ++refusing_;
      house_group_.spawn("refuse", refuse(std::move(socket)));
      return;
    }
    const auto text = render(too_many_connections(), {});
    socket.non_blocking(true, ignored);
    (void)socket.write_some(asio::buffer(text), ignored);
    return;
  }
  sessions_group_.spawn("session", serve(std::move(socket)));
}

awaitable<void> Worker::refuse(asio::ip::tcp::socket socket) {
  struct Place {
    explicit Place(std::size_t& n) : taken(n) {}
    ~Place() { --taken; }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    std::size_t& taken;
  };
  const Place place(refusing_);
  Connection client(std::move(socket), swept_);
  const auto by = steady_clock::now() + options_.limits.linger_time;
  const auto text = render(too_many_connections(), {});
  const auto ec = co_await client.write(asio::buffer(text), by);
  if (ec) co_return;
  client.shutdown_send();
  Buffer unwanted;
  co_await linger(client, unwanted, by);
}

awaitable<void> Worker::linger(Connection& client, Buffer& unwanted, SteadyTime by) {
  buffers_.lend(unwanted);
  for (std::size_t total = 0; total < max_lingering_bytes;) {
    unwanted.clear();
    const auto read = co_await client.read_some(unwanted, by);
    if (!read.ok()) break;
    total += read.bytes;
  }
  buffers_.take_back(unwanted);
}

awaitable<void> Worker::serve(asio::ip::tcp::socket socket) {
  Session session(*this, std::move(socket));
  co_await session.run();
}

awaitable<void> Worker::sweep_loop() {
  for (int tick = 0;; tick = (tick + 1) % look_every) {
    const bool waited = co_await sleep_for(sweep_every);
    if (!waited) co_return;
    const auto now = steady_clock::now();
    for (auto& connection : swept_) connection.sweep(now, tick == 0);
    pool_.sweep(now);
  }
}

void Worker::start_draining() {
  if (draining_) return;
  draining_ = true;
  // Who is in the queue was promised an answer by the kernel.
  error_code ec;
  acceptor_.non_blocking(true, ec);
  while (!ec) {
    asio::ip::tcp::socket socket(io_);
    acceptor_.accept(socket, ec);
    if (!ec) accepted(std::move(socket));
  }
  acceptor_.close(ec);
  for (auto* session : sessions_) session->drain();
}

void Worker::drain() {
  asio::post(io_, [this] { start_draining(); });
}

void Worker::cut() {
  asio::post(io_, [this] {
    cutting_ = true;
    for (auto& connection : swept_) connection.close();
  });
}

awaitable<void> Worker::stop_tasks(std::chrono::milliseconds grace) {
  start_draining();
  // Runs out before the group's own time does, so that who is cut can say by whom.
  asio::steady_timer over(io_, grace);
  over.async_wait([this](const error_code& ec) {
    if (!ec) cutting_ = true;
  });
  co_await sessions_group_.stop(grace);
  co_await house_group_.stop(0ms);
  pool_.clear();
}

void Worker::finish(std::chrono::milliseconds grace) {
  if (!thread_.joinable()) return;
  std::promise<void> stopped;
  auto done = [&stopped](const std::exception_ptr&) { stopped.set_value(); };
  asio::co_spawn(io_, stop_tasks(grace), done);
  stopped.get_future().wait();
}

void Worker::end() {
  if (!thread_.joinable()) return;
  io_.stop();
  thread_.join();
}

}  // namespace karreg::proxy
