#include "common/http/websocket.hpp"

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "common/http/websocket_accept.hpp"

namespace karreg::http {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

namespace {

/// For the client's half of opening and closing.
constexpr std::chrono::seconds handshake_time{5};
/// What a close frame has room for (RFC 6455 §5.5).
constexpr std::size_t longest_reason = 123;

Error gone(const error_code& ec) {
  return Error(ErrorKind::unavailable, "the client closed the connection: " + ec.message());
}

class AcceptedSocket final : public WebSocket {
 public:
  AcceptedSocket(beast::tcp_stream& stream, std::size_t max_message_bytes,
                 std::chrono::milliseconds write_time)
      : stream_(stream), write_time_(write_time), too_slow_(stream.get_executor()) {
    // Silence is the handler's to judge; the library's own pings would not be seen by it.
    stream_.set_option(
        websocket::stream_base::timeout{handshake_time, websocket::stream_base::none(), false});
    stream_.read_message_max(max_message_bytes);
  }

  awaitable<Result<void>> open(const beast::http::request<beast::http::buffer_body>& request) {
    auto [ec] = co_await stream_.async_accept(request, as_result);
    if (ec) co_return gone(ec);
    co_return ok();
  }

  awaitable<Result<std::string>> read() override {
    beast::flat_buffer buffer;
    auto [ec, n] = co_await stream_.async_read(buffer, as_result);
    if (ec == websocket::error::message_too_big)
      co_return Error(ErrorKind::too_large, "the message is larger than is allowed here");
    if (ec) co_return gone(ec);
    co_return beast::buffers_to_string(buffer.data());
  }

  awaitable<Result<void>> write(std::string_view message) override {
    // A client that takes nothing would hold this coroutine for ever: its connection is cut, which
    // ends the write.
    const auto writing = std::make_shared<bool>(true);
    too_slow_.expires_after(write_time_);
    too_slow_.async_wait([this, writing](error_code ec) {
      if (!ec && *writing) stream_.next_layer().close();
    });
    stream_.text(true);
    auto [ec, n] =
        co_await stream_.async_write(asio::buffer(message.data(), message.size()), as_result);
    *writing = false;
    too_slow_.cancel();
    if (ec) co_return gone(ec);
    co_return ok();
  }

  awaitable<void> close(CloseCode code, std::string_view reason) override {
    const websocket::close_reason why(static_cast<websocket::close_code>(code),
                                      reason.substr(0, longest_reason));
    (void)co_await stream_.async_close(why, as_result);
  }

 private:
  websocket::stream<beast::tcp_stream&, false> stream_;
  std::chrono::milliseconds write_time_;
  asio::steady_timer too_slow_;
};

}  // namespace

awaitable<Result<std::unique_ptr<WebSocket>>> accept_websocket(
    beast::tcp_stream& stream, const beast::http::request<beast::http::buffer_body>& request,
    std::size_t max_message_bytes, std::chrono::milliseconds write_time) {
  if (!websocket::is_upgrade(request) || request[beast::http::field::sec_websocket_version] != "13")
    co_return Error(ErrorKind::invalid,
                    "this is a WebSocket: ask for the upgrade to websocket, version 13");
  auto socket = std::make_unique<AcceptedSocket>(stream, max_message_bytes, write_time);
  auto opened = co_await socket->open(request);
  if (!opened) co_return opened.error();
  co_return std::unique_ptr<WebSocket>(std::move(socket));
}

}  // namespace karreg::http
