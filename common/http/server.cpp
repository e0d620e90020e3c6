#include "common/http/server.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <set>

#include "common/http/websocket_accept.hpp"
#include "common/log.hpp"
#include "common/text.hpp"

namespace karreg::http {

namespace beast = boost::beast;
using Parser = beast::http::request_parser<beast::http::buffer_body>;

std::optional<std::string> Request::parameter(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return std::nullopt;
}

awaitable<Result<std::string>> Request::read_body(std::size_t max_bytes) {
  std::string body;
  std::array<char, 16UL * 1024> piece{};
  for (;;) {
    auto n = co_await read_some(piece);
    if (!n) co_return n.error();
    if (*n == 0) co_return body;
    if (body.size() + *n > max_bytes)
      co_return Error(ErrorKind::too_large,
                      "the request body is larger than " + std::to_string(max_bytes) + " bytes");
    body.append(piece.data(), *n);
  }
}

namespace {

Error connection_error(const error_code& ec) {
  if (ec == beast::error::timeout)
    return Error(ErrorKind::timeout, "the client took too long to send or take data");
  return Error(ErrorKind::unavailable, "the client closed the connection: " + ec.message());
}

/// What the request and the answer of one exchange share.
struct Exchange {
  beast::tcp_stream& stream;
  beast::flat_buffer& buffer;
  const ServerLimits& limits;
  Parser parser;
  bool expects_continue = false;
  bool keep_alive = true;
};

class StreamedRequest final : public Request {
 public:
  explicit StreamedRequest(Exchange& exchange) : exchange_(exchange) {}

  awaitable<Result<std::size_t>> read_some(std::span<char> into) override {
    auto& parser = exchange_.parser;
    if (parser.is_done()) co_return std::size_t{0};
    exchange_.stream.expires_after(exchange_.limits.body_time);
    if (exchange_.expects_continue) {
      exchange_.expects_continue = false;
      static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      auto [ec, sent] = co_await asio::async_write(
          exchange_.stream, asio::buffer(go_on.data(), go_on.size()), as_result);
      if (ec) co_return connection_error(ec);
    }
    auto& body = parser.get().body();
    while (!parser.is_done()) {
      body.data = into.data();
      body.size = into.size();
      auto [ec, n] = co_await beast::http::async_read_some(exchange_.stream, exchange_.buffer,
                                                           parser, as_result);
      const std::size_t got = into.size() - body.size;
      if (ec && ec != beast::http::error::need_buffer) {
        exchange_.keep_alive = false;
        if (ec.category() == make_error_code(beast::http::error::bad_chunk).category())
          co_return Error(ErrorKind::invalid, "the request body is malformed: " + ec.message());
        co_return connection_error(ec);
      }
      if (got > 0) co_return got;
    }
    co_return std::size_t{0};
  }

 private:
  Exchange& exchange_;
};

class StreamedResponse final : public ResponseWriter {
 public:
  StreamedResponse(Exchange& exchange, bool head, bool http10)
      : exchange_(exchange), head_(head), http10_(http10) {}

  awaitable<void> send(Response response) override {
    const bool bodiless = response.status == 204 || response.status == 304 || response.status < 200;
    std::string text = head_text(response.status, response.headers);
    if (!bodiless) text += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
    text += "\r\n";
    if (!bodiless && !head_) text += response.body;
    finished_ = true;
    (void)co_await put(text);
  }

  awaitable<void> start(int status, Headers headers) override {
    if (http10_) exchange_.keep_alive = false;
    std::string text = head_text(status, headers);
    if (!http10_) text += "Transfer-Encoding: chunked\r\n";
    text += "\r\n";
    (void)co_await put(text);
  }

  awaitable<Result<void>> write(std::string_view piece) override {
    if (piece.empty() || head_) co_return ok();
    std::string framed;
    if (http10_) {
      framed = piece;
    } else {
      framed = fmt::format("{:x}\r\n", piece.size());
      framed += piece;
      framed += "\r\n";
    }
    auto result = co_await put(framed);
    co_return result;
  }

  awaitable<void> finish() override {
    finished_ = true;
    if (http10_ || head_) co_return;
    const std::string end = "0\r\n\r\n";
    (void)co_await put(end);
  }

  awaitable<Result<std::unique_ptr<WebSocket>>> upgrade(std::size_t max_message_bytes) override {
    if (exchange_.buffer.size() > 0)
      co_return Error(ErrorKind::invalid, "wait for the answer before you send on this socket");
    auto socket = co_await accept_websocket(exchange_.stream, exchange_.parser.get(),
                                            max_message_bytes, exchange_.limits.write_time);
    if (!socket && socket.error().kind() == ErrorKind::invalid) co_return socket;
    started_ = true;
    finished_ = true;
    exchange_.keep_alive = false;
    co_return socket;
  }

  awaitable<void> peer_gone() override {
    auto& socket = exchange_.stream.socket();
    for (;;) {
      auto [ec] = co_await socket.async_wait(asio::ip::tcp::socket::wait_read, as_result);
      if (ec) co_return;
      std::array<char, 1> byte{};
      error_code peek;
      const std::size_t n =
          socket.receive(asio::buffer(byte), asio::ip::tcp::socket::message_peek, peek);
      if (peek || n == 0) co_return;
      // The next request of a pipelining client waits here: look again later, there is no event for
      // "closed behind unread data".
      const bool slept = co_await sleep_for(std::chrono::milliseconds(250));
      if (!slept) co_return;
    }
  }

  bool started() const override { return started_; }
  bool finished() const { return finished_; }

 private:
  std::string head_text(int status, const Headers& headers) {
    started_ = true;
    std::string text = fmt::format("HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
    for (const auto& [name, value] : headers.entries()) {
      text += name;
      text += ": ";
      // A header value of ours never holds a line break; cut it there should one come from outside.
      text += std::string_view(value).substr(0, value.find_first_of("\r\n"));
      text += "\r\n";
    }
    if (!exchange_.keep_alive) text += "Connection: close\r\n";
    return text;
  }

  awaitable<Result<void>> put(std::string_view text) {
    exchange_.stream.expires_after(exchange_.limits.write_time);
    auto [ec, n] = co_await asio::async_write(exchange_.stream,
                                              asio::buffer(text.data(), text.size()), as_result);
    exchange_.stream.expires_never();
    if (!ec) co_return ok();
    exchange_.keep_alive = false;
    co_return connection_error(ec);
  }

  Exchange& exchange_;
  bool head_;
  bool http10_;
  bool started_ = false;
  bool finished_ = false;
};

void fill_request(Request& request, const Parser& parser, const std::string& peer) {
  const auto& message = parser.get();
  request.method = message.method_string();
  request.target = message.target();
  const auto question = request.target.find('?');
  request.path = request.target.substr(0, question);
  if (question != std::string::npos)
    request.query = parse_query(std::string_view(request.target).substr(question + 1));
  for (const auto& field : message)
    request.headers.add(std::string(field.name_string()), std::string(field.value()));
  request.peer = peer;
}

/// What is wrong with the request's target, if anything. Handlers get text: a path decodes to
/// UTF-8, and of a query what does not decode stays as it stands, which is ASCII then.
std::optional<std::string> target_problem(const Request& request) {
  const bool ascii = std::ranges::all_of(
      request.target, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (!ascii)
    return "the request is malformed: characters beyond ASCII stand percent-encoded in a URL";
  if (!percent_decode(request.path, false))
    return "the request is malformed: an escape of the path is not %XX, or no UTF-8";
  return std::nullopt;
}

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::any_io_executor executor_in, Handler handler_in, ServerLimits limits_in)
      : executor(executor_in),
        handler(std::move(handler_in)),
        limits(limits_in),
        acceptor(executor_in),
        listener_tasks(executor_in),
        sessions(executor_in) {}

  asio::any_io_executor executor;
  Handler handler;
  ServerLimits limits;
  asio::ip::tcp::acceptor acceptor;
  TaskGroup listener_tasks;
  TaskGroup sessions;
  bool draining = false;
  std::uint16_t bound_port = 0;

  awaitable<void> listen() {
    for (;;) {
      auto [ec, socket] = co_await acceptor.async_accept(as_result);
      if (ec == asio::error::operation_aborted || ec == asio::error::bad_descriptor) co_return;
      if (ec) {
        // Out of descriptors or memory: let running requests end before trying again.
        log::warn("cannot accept a connection", {log::field("why", ec.message())});
        const bool slept = co_await sleep_for(std::chrono::milliseconds(100));
        if (!slept) co_return;
        continue;
      }
      if (sessions.size() >= limits.connections) continue;
      sessions.spawn("http session", serve(std::move(socket)));
    }
  }

  awaitable<void> serve(asio::ip::tcp::socket socket) {
    // "total" asks to finish the request in hand, "terminal" cuts.
    co_await asio::this_coro::reset_cancellation_state(
        [](asio::cancellation_type type) { return type & asio::cancellation_type::terminal; },
        [](asio::cancellation_type type) { return type & asio::cancellation_type::terminal; });
    error_code ignored;
    const auto remote = socket.remote_endpoint(ignored);
    const std::string peer = ignored ? std::string() : remote.address().to_string();
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    beast::tcp_stream stream(std::move(socket));
    idle.insert(&stream);
    beast::flat_buffer buffer;
    bool more = true;
    while (more && !draining) more = co_await exchange(stream, buffer, peer);
    idle.erase(&stream);
    stream.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    stream.socket().close(ignored);
  }

  /// One request and its answer; false when the connection must close.
  awaitable<bool> exchange(beast::tcp_stream& stream, beast::flat_buffer& buffer,
                           const std::string& peer) {
    Exchange state{stream, buffer, limits, Parser{}, false, true};
    state.parser.header_limit(static_cast<std::uint32_t>(limits.header_bytes));
    state.parser.body_limit(boost::none);
    stream.expires_after(limits.idle_time);
    if (buffer.size() == 0) {
      auto [ec, n] = co_await stream.async_read_some(buffer.prepare(4096), as_result);
      if (ec) co_return false;
      buffer.commit(n);
    }
    idle.erase(&stream);
    stream.expires_after(limits.header_time);
    auto [ec, n] = co_await beast::http::async_read_header(stream, buffer, state.parser, as_result);
    stream.expires_never();
    StreamedRequest request(state);
    const bool head = !ec && state.parser.get().method() == beast::http::verb::head;
    const bool http10 = !ec && state.parser.get().version() < 11;
    StreamedResponse response(state, head, http10);
    if (ec) {
      state.keep_alive = false;
      const bool malformed =
          ec.category() == make_error_code(beast::http::error::bad_chunk).category() &&
          ec != beast::http::error::end_of_stream && ec != beast::http::error::partial_message;
      if (malformed) {
        const bool big = ec == beast::http::error::header_limit;
        co_await response.send(
            error_response(big ? 431 : 400, "the request is malformed: " + ec.message()));
      }
      co_return false;
    }
    fill_request(request, state.parser, peer);
    state.keep_alive = state.parser.keep_alive() && !draining;
    state.expects_continue =
        text::iequals(request.headers.get("Expect").value_or(""), "100-continue");
    std::string failure;
    try {
      if (const auto problem = target_problem(request))
        co_await response.send(error_response(400, *problem));
      else
        co_await handler(request, response);
    } catch (const std::exception& e) {
      failure = e.what();
    }
    if (!failure.empty()) {
      log::error("request failed", {log::field("method", request.method),
                                    log::field("path", request.path), log::field("why", failure)});
      state.keep_alive = false;
      if (!response.started())
        co_await response.send(error_response(500,
                                              "an internal error happened; the log of the "
                                              "server says more"));
      co_return false;
    }
    if (!response.started())
      co_await response.send(error_response(500, "the request was not answered"));
    else if (!response.finished())
      co_return false;
    // An unread body would be taken for the next request: read a little of it, or close.
    if (state.keep_alive && !state.parser.is_done()) {
      auto rest = co_await request.read_body(64UL * 1024);
      if (!rest) co_return false;
    }
    if (state.keep_alive) idle.insert(&stream);
    co_return state.keep_alive;
  }

  void close_idle() {
    error_code ignored;
    for (auto* stream : idle) stream->socket().cancel(ignored);
  }

  std::set<beast::tcp_stream*> idle;  ///< connections between two requests
};

Server::Server(asio::any_io_executor executor, Handler handler, ServerLimits limits)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(handler), limits)) {}

Server::~Server() = default;

Result<void> Server::start(const Endpoint& endpoint) {
  auto failed = [&](const error_code& ec) {
    return Error(ErrorKind::unavailable, fmt::format("cannot listen on {}:{}: {}", endpoint.host,
                                                     endpoint.port, ec.message()));
  };
  error_code ec;
  const auto address = asio::ip::make_address(endpoint.host, ec);
  if (ec) return failed(ec);
  const asio::ip::tcp::endpoint where(address, endpoint.port);
  auto& acceptor = impl_->acceptor;
  acceptor.open(where.protocol(), ec);
  if (ec) return failed(ec);
  acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  acceptor.bind(where, ec);
  if (ec) return failed(ec);
  acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return failed(ec);
  impl_->bound_port = acceptor.local_endpoint().port();
  impl_->listener_tasks.spawn("http listener", impl_->listen());
  return ok();
}

Result<void> Server::start(Descriptor listener) {
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  error_code ec = asio::error::not_socket;
  if (::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0)
    impl_->acceptor.assign(at.ss_family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(),
                           listener.get(), ec);
  if (ec)
    return Error(ErrorKind::invalid, "cannot accept from what was inherited: " + ec.message());
  (void)listener.release();
  impl_->bound_port = impl_->acceptor.local_endpoint().port();
  impl_->listener_tasks.spawn("http listener", impl_->listen());
  return ok();
}

std::uint16_t Server::port() const {
  return impl_->bound_port;
}

awaitable<void> Server::stop(std::chrono::milliseconds grace) {
  auto impl = impl_;
  impl->draining = true;
  // Not close(): another process may have the listener, too, and then epoll would go on with it.
  error_code ec;
  if (impl->acceptor.is_open()) Descriptor(impl->acceptor.release(ec)).reset();
  co_await impl->listener_tasks.stop(std::chrono::milliseconds(100));
  impl->close_idle();
  co_await impl->sessions.stop(grace);
}

}  // namespace karreg::http
