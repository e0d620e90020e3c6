// The server's end of a WebSocket, spoken to by a client written from the RFC.
#include <catch2/catch.hpp>
#include <thread>

#include "common/http/server.hpp"
#include "support/websocket_client.hpp"

using namespace karreg;
using namespace std::chrono_literals;
using test::WebSocketClient;

namespace {

/// Says "hello" and then what it hears, until it hears "bye".
awaitable<void> parrot(http::Request& request, http::ResponseWriter& response) {
  auto socket = co_await response.upgrade(100);
  if (!socket) {
    if (!response.started()) co_await response.send(http::error_response(socket.error()));
    co_return;
  }
  auto written = co_await (*socket)->write("hello " + request.path);
  while (written) {
    auto heard = co_await (*socket)->read();
    if (!heard) co_return;
    if (*heard == "bye") {
      co_await (*socket)->close(http::CloseCode::policy, "you said bye");
      co_return;
    }
    written = co_await (*socket)->write(*heard);
  }
}

/// A server with a thread of its own, for a client that blocks.
class Serving {
 public:
  Serving() : server_(io_.get_executor(), parrot) {
    REQUIRE(server_.start({"127.0.0.1", 0}));
    thread_ = std::jthread([this] { io_.run(); });
  }
  ~Serving() {
    asio::post(io_, [this] { asio::co_spawn(io_, server_.stop(100ms), asio::detached); });
    thread_.join();
  }
  std::uint16_t port() const { return server_.port(); }

 private:
  asio::io_context io_;
  http::Server server_;
  std::jthread thread_;
};

}  // namespace

TEST_CASE("a client that asks for a WebSocket gets one, and messages go both ways") {
  Serving serving;
  WebSocketClient client(serving.port(), "/events");
  INFO(client.head());
  REQUIRE(client.open());
  auto hello = client.next();
  REQUIRE(hello);
  CHECK(hello->opcode == 1);
  CHECK(hello->payload == "hello /events");
  client.send("are you there?");
  auto answer = client.next();
  REQUIRE(answer);
  CHECK(answer->payload == "are you there?");
}

TEST_CASE("a WebSocket is closed with the reason, and the connection ends") {
  Serving serving;
  WebSocketClient client(serving.port(), "/");
  REQUIRE(client.next());
  client.send("bye");
  auto end = client.next();
  REQUIRE(end);
  CHECK(end->opcode == 8);
  CHECK(end->code() == 1008);
  CHECK(end->reason() == "you said bye");
  client.send_frame(8, end->payload);
  CHECK_FALSE(client.next());
}

TEST_CASE("a message beyond the bound closes the WebSocket with 1009") {
  Serving serving;
  WebSocketClient client(serving.port(), "/");
  REQUIRE(client.next());
  client.send(std::string(101, 'x'));
  auto end = client.next();
  REQUIRE(end);
  CHECK(end->opcode == 8);
  CHECK(end->code() == 1009);
}

TEST_CASE("a ping is answered while the server reads") {
  Serving serving;
  WebSocketClient client(serving.port(), "/");
  REQUIRE(client.next());
  client.send_frame(9, "still there?");
  auto pong = client.next();
  REQUIRE(pong);
  CHECK(pong->opcode == 10);
  CHECK(pong->payload == "still there?");
}
