#pragma once
/// An HTTP/1.1 server (RFC 9112) for the platform's own daemons: bodies stream both ways with
/// back-pressure. User traffic goes through reverse-proxy/.

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/async/asio.hpp"
#include "common/async/task_group.hpp"
#include "common/config.hpp"
#include "common/descriptor.hpp"
#include "common/http/message.hpp"
#include "common/http/websocket.hpp"

namespace karreg::http {

/// Bounds of one connection; what happens at each is an answer with the matching status, or a
/// close.
struct ServerLimits {
  std::size_t header_bytes = 32UL * 1024;  ///< 431 beyond
  std::size_t connections = 4096;          ///< further ones are closed at once
  std::chrono::seconds header_time{
      15};                              ///< from the first byte of a request to the end of its head
  std::chrono::seconds idle_time{75};   ///< between requests
  std::chrono::seconds body_time{60};   ///< without a byte of the body
  std::chrono::seconds write_time{60};  ///< without a byte taken by the client
};

/// One request. The body is read by the handler, and only if it wants it.
class Request {
 public:
  virtual ~Request() = default;
  std::string method;
  std::string target;  ///< as sent
  std::string path;    ///< as sent, without the query
  Query query;
  Headers headers;
  std::string peer;  ///< address of the client, no port

  /// First value of the query parameter @p name.
  std::optional<std::string> parameter(std::string_view name) const;

  /// Some bytes of the body, chunks undone; 0: the end. Error: `invalid` malformed, `timeout`,
  /// `unavailable` client gone.
  virtual awaitable<Result<std::size_t>> read_some(std::span<char> into) = 0;
  /// The whole body. Error `too_large` beyond @p max_bytes, and those of read_some.
  awaitable<Result<std::string>> read_body(std::size_t max_bytes);
};

/// The answer to one request: either send(), or start(), write()..., finish(), or upgrade().
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  /// A whole answer; Content-Length is added. A client that left meanwhile is no error of the
  /// handler.
  virtual awaitable<void> send(Response response) = 0;
  /// Head of a streamed answer (chunked, or until close for HTTP/1.0 clients).
  virtual awaitable<void> start(int status, Headers headers) = 0;
  /// A piece of the body. Error `unavailable` when the client is gone.
  virtual awaitable<Result<void>> write(std::string_view piece) = 0;
  virtual awaitable<void> finish() = 0;
  /// Makes the connection a WebSocket for messages of at most @p max_message_bytes; it ends with
  /// the handler. Error `invalid` when the client did not ask for one: then it is still to be
  /// answered. Error `unavailable` when the client is gone.
  virtual awaitable<Result<std::unique_ptr<WebSocket>>> upgrade(std::size_t max_message_bytes) = 0;
  /// Completes when the client closed the connection; for handlers that wait for something else
  /// meanwhile (compose with ||).
  virtual awaitable<void> peer_gone() = 0;
  virtual bool started() const = 0;
};

using Handler = std::function<awaitable<void>(Request&, ResponseWriter&)>;

/// Listens and serves on one executor. An exception of the handler is a 500 and a log line.
class Server {
 public:
  Server(asio::any_io_executor executor, Handler handler, ServerLimits limits = {});
  ~Server();
  /// Binds @p endpoint (port 0: any free one) and starts to accept. Error `unavailable` when the
  /// address is taken.
  Result<void> start(const Endpoint& endpoint);
  /// Accepts from @p listener, which listens already. Error `invalid` when it is no such socket.
  Result<void> start(Descriptor listener);
  std::uint16_t port() const;
  /// Stops accepting, closes idle connections, lets requests finish up to @p grace, then cuts.
  awaitable<void> stop(std::chrono::milliseconds grace);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace karreg::http
