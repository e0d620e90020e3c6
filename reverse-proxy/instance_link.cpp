#include "reverse-proxy/instance_link.hpp"

#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

Task<Connection::Connected> link_to(Worker& worker, const Backend& backend,
                                    const rules::Speech* speech, std::string_view name,
                                    std::string_view first) {
  auto& count = worker.count();
  count.backend_connects.add();
  const auto by = worker.loop().now() + worker.limits().connect_time;
  auto fresh = co_await Connection::connect(worker.loop(), backend.endpoint, worker.buffers(),
                                            worker.swept(), by);
  if (fresh.connection && !first.empty()) {
    const auto ec = co_await fresh.connection->write(first, by);
    if (ec) fresh.why = fresh.connection->expired() ? "timed out" : ec.message();
    if (ec) fresh.connection.reset();
  }
  if (fresh.connection && speech != nullptr && speech->tls() != nullptr) {
    const std::string called(name);
    fresh.why = co_await fresh.connection->secure_towards(
        *speech->tls(), called, worker.loop().now() + worker.limits().connect_time);
    if (fresh.why.empty() && speech->http2() && fresh.connection->protocol() != "h2")
      fresh.why = "it does not offer HTTP/2 by TLS (ALPN)";
    fresh.unfit = !fresh.why.empty();
    if (fresh.unfit) fresh.connection.reset();
  }
  if (!fresh.connection) count.backend_connect_failures.add();
  co_return fresh;
}

}  // namespace karreg::proxy
