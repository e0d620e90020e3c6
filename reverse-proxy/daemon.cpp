#include "reverse-proxy/daemon.hpp"

#include <sys/resource.h>

#include "common/async/offload.hpp"
#include "common/async/run.hpp"
#include "common/log.hpp"
#include "reverse-proxy/admin.hpp"
#include "reverse-proxy/control.hpp"

namespace karreg::proxy {

namespace {

/// Open files besides those of requests.
constexpr std::size_t other_files = 1024;

/// Connections that can be held, of @p wanted: a request has two descriptors, its client's and its
/// backend's, and running out of them in the middle would lose requests.
std::size_t possible_connections(std::size_t wanted) {
  const rlim_t needed = wanted * 2 + other_files;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min(needed, limit.rlim_max);
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
    (void)::getrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur >= needed) return wanted;
  const auto possible =
      limit.rlim_cur > other_files * 2 ? (limit.rlim_cur - other_files) / 2 : limit.rlim_cur / 4;
  log::info("fewer connections than proxy.max_connections, for want of open files",
            {log::field("connections", possible), log::field("open_files", limit.rlim_cur)});
  return possible;
}

struct Parts {
  Proxy& proxy;
  Control& control;
  Admin& admin;
  asio::thread_pool& pool;
  std::chrono::milliseconds drain_time;
};

awaitable<void> drain(Parts parts) {
  parts.admin.say_stopping();
  auto stop_serving = [&parts] {
    parts.control.say_goodbye();
    parts.proxy.stop(parts.drain_time);
    parts.control.stop();
  };
  co_await offload(parts.pool, stop_serving);
  co_await parts.admin.stop(std::chrono::milliseconds(100));
  log::info("drained");
}

}  // namespace

Result<void> run_daemon(const Settings& settings) {
  auto options = settings.options;
  options.limits.connections = possible_connections(options.limits.connections);
  auto access_log = AccessLog::open(settings.access_log);
  if (!access_log) return access_log.error();
  Proxy proxy(options, **access_log);
  Control control(settings.id, settings.saved_routes, settings.broker, proxy);
  control.restore();
  asio::io_context io;
  Admin admin(io.get_executor(), proxy, control);
  auto started = admin.start(settings.admin_listen);
  if (!started) return started;
  started = proxy.start();
  if (!started) return started;
  control.start();
  log::info("proxy is up",
            {log::field("port", proxy.port()), log::field("admin_port", admin.port()),
             log::field("workers", options.workers)});
  asio::thread_pool pool(1);
  const Parts parts{proxy, control, admin, pool, settings.drain_time};
  run_until_signal(io, [&parts] { return drain(parts); });
  // A second signal ends the event loop before the drain is through.
  proxy.cut();
  pool.join();
  return ok();
}

}  // namespace karreg::proxy
