#include "reverse-proxy/daemon.hpp"

#include "common/async/offload.hpp"
#include "common/async/run.hpp"
#include "common/log.hpp"
#include "common/open_files.hpp"
#include "reverse-proxy/admin.hpp"
#include "reverse-proxy/certificates.hpp"
#include "reverse-proxy/control.hpp"

namespace karreg::proxy {

namespace {

/// Of one request: its client's and its backend's.
constexpr std::size_t files_of_a_connection = 2;

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
    // Reports go on meanwhile: instances that left the routes stay as long as requests of this
    // proxy are in flight there.
    const auto cut = parts.proxy.stop(parts.drain_time);
    if (cut == 0)
      log::info("drained");
    else
      log::warn(fmt::format("drained, {} requests cut", cut));
    parts.control.say_goodbye();
    parts.control.stop();
  };
  co_await offload(parts.pool, stop_serving);
  co_await parts.admin.stop(std::chrono::milliseconds(100));
}

}  // namespace

Result<void> run_daemon(const Settings& settings) {
  auto options = settings.options;
  options.limits.connections =
      possible_connections(options.limits.connections, files_of_a_connection);
  auto access_log = AccessLog::open(settings.access_log);
  if (!access_log) return access_log.error();
  Proxy proxy(options, **access_log);
  Control control(settings.id, settings.saved_routes, settings.broker, proxy);
  control.restore();
  const Certificates certificates(settings.certificates, proxy);
  asio::io_context io;
  Admin admin(io.get_executor(), proxy, control);
  auto started = admin.start(settings.admin_listen);
  if (!started) return started;
  started = proxy.start();
  if (!started) return started;
  control.start();
  log::info("proxy is up",
            {log::field("port", proxy.port()), log::field("tls_port", proxy.tls_port()),
             log::field("admin_port", admin.port()), log::field("workers", options.workers)});
  asio::thread_pool pool(1);
  const Parts parts{proxy, control, admin, pool, settings.drain_time};
  run_until_signal(io, [&parts] { return drain(parts); });
  // A second signal ends the event loop before the drain is through.
  proxy.cut();
  pool.join();
  return ok();
}

}  // namespace karreg::proxy
