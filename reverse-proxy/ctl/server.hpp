#pragma once
/// The operator's line to a serving process: a unix socket in the data folder that root and the
/// proxy's user can open. A connection is one question and one answer, each a line of JSON.
///
///   {"do": "status"}                   which process, which routes each worker uses, which ports
///   of
///                                      TCP services are open or why not, what drains, what is held
///                                      for applications that sleep
///   {"do": "routes", "host": "a.com"}  the table in use; without a host all of it
///   {"do": "traffic"}                  what applications and instances were asked (traffic.hpp)
///   {"do": "use", "routes": [...], "tcp_routes": [...]}
///                                      replaces the table (wire::Route, wire::TcpRoute); answers
///                                      when each worker uses it. A scheduler that is there puts
///                                      its own back.
///
/// What cannot be done is answered by {"error": "a sentence", "kind": "invalid"} (ErrorKind).

#include <boost/asio/local/stream_protocol.hpp>
#include <filesystem>

#include "common/async/task_group.hpp"
#include "common/json.hpp"
#include "reverse-proxy/control.hpp"

namespace karreg::proxy {

/// Where a proxy listens; each process of it replaces the one before.
std::filesystem::path ctl_socket(const std::filesystem::path& saved_routes);

/// A question with its answer is no longer than this, in bytes: a table of 100 000 routes fits.
inline constexpr std::size_t longest_ctl_message = 256UL * 1024 * 1024;

class CtlServer {
 public:
  CtlServer(asio::io_context& io, int process, Proxy& proxy, Control& control);
  /// Error `unavailable` when there can be no socket at @p path.
  Result<void> start(const std::filesystem::path& path);
  awaitable<void> stop();

 private:
  using Socket = asio::local::stream_protocol::socket;
  awaitable<void> accept();
  awaitable<void> talk(Socket socket);
  nlohmann::json answer(const std::string& question);
  nlohmann::json status();
  nlohmann::json traffic();
  Result<nlohmann::json> use(const nlohmann::json& question);

  asio::io_context& io_;
  const int process_;
  Proxy& proxy_;
  Control& control_;
  asio::local::stream_protocol::acceptor acceptor_;
  TaskGroup tasks_;
};

}  // namespace karreg::proxy
