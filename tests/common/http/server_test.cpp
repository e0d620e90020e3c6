#include "common/http/server.hpp"

#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include "common/http/client.hpp"

using namespace karreg;
using namespace std::chrono_literals;

namespace {

/// A server on a free loopback port and a coroutine that uses it.
struct Loop {
  asio::io_context io;
  http::Server server;
  std::exception_ptr failure;
  bool done = false;

  explicit Loop(http::Handler handler, http::ServerLimits limits = {})
      : server(io.get_executor(), std::move(handler), limits) {
    REQUIRE(server.start({"127.0.0.1", 0}));
  }
  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(server.port()) + path;
  }
  awaitable<void> body_then_stop(awaitable<void> body) {
    co_await std::move(body);
    co_await server.stop(1s);
  }
  void run(awaitable<void> body) {
    asio::co_spawn(io, body_then_stop(std::move(body)), [this](std::exception_ptr e) {
      failure = e;
      done = true;
      if (e) io.stop();
    });
    io.run_for(20s);
    if (failure) std::rethrow_exception(failure);
    REQUIRE(done);
  }
  /// Sends raw bytes and reads until the server closes.
  awaitable<std::string> raw(std::string bytes) {
    asio::ip::tcp::socket socket(io);
    const asio::ip::tcp::endpoint where(asio::ip::make_address("127.0.0.1"), server.port());
    co_await socket.async_connect(where, asio::use_awaitable);
    co_await asio::async_write(socket, asio::buffer(bytes), asio::use_awaitable);
    std::string answer;
    (void)co_await asio::async_read(socket, asio::dynamic_buffer(answer), as_result);
    co_return answer;
  }
};

awaitable<void> echo(http::Request& request, http::ResponseWriter& response) {
  auto body = co_await request.read_body(1000);
  if (!body) {
    auto refusal = http::error_response(body.error());
    co_await response.send(std::move(refusal));
    co_return;
  }
  http::Response answer{200, {{"X-Path", request.path}}, *body};
  co_await response.send(std::move(answer));
}

awaitable<void> count_to_three(http::Request&, http::ResponseWriter& response) {
  http::Headers headers{{"Content-Type", "text/plain"}};
  co_await response.start(200, std::move(headers));
  for (const auto* piece : {"one ", "two ", "three"}) {
    auto written = co_await response.write(piece);
    if (!written) co_return;
  }
  co_await response.finish();
}

awaitable<void> posted_body_comes_back(Loop& loop) {
  http::ClientRequest request{"POST", loop.url("/a?b=c"), {}, "hello"};
  auto answer = co_await http::fetch(std::move(request));
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->body == "hello");
  CHECK(answer->headers.get("x-path") == "/a");
}

awaitable<void> two_requests_on_one_connection(Loop& loop) {
  const std::string text =
      "POST /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
      "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nde";
  const std::string answer = co_await loop.raw(text);
  CHECK_THAT(answer, Catch::Contains("X-Path: /1") &&
                         Catch::Contains("\r\n\r\nabcHTTP/1.1 200 OK") &&
                         Catch::Contains("X-Path: /2") && Catch::EndsWith("\r\n\r\nde"));
}

awaitable<void> expect_answer(Loop& loop, std::string text, std::string expected) {
  const std::string answer = co_await loop.raw(std::move(text));
  CHECK_THAT(answer, Catch::Contains(expected));
}

awaitable<void> stream_arrives(Loop& loop) {
  std::string all;
  http::ClientRequest request{"GET", loop.url("/"), {}, {}};
  auto sink = [&](std::string_view piece) {
    all += piece;
    return true;
  };
  auto answer = co_await http::stream(std::move(request), sink);
  REQUIRE(answer);
  CHECK(all == "one two three");
}

awaitable<void> client_leaves(Loop& loop, bool& noticed) {
  asio::ip::tcp::socket socket(loop.io);
  const asio::ip::tcp::endpoint where(asio::ip::make_address("127.0.0.1"), loop.server.port());
  co_await socket.async_connect(where, asio::use_awaitable);
  const std::string text = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  co_await asio::async_write(socket, asio::buffer(text), asio::use_awaitable);
  std::string head;
  co_await asio::async_read_until(socket, asio::dynamic_buffer(head), "\r\n\r\n",
                                  asio::use_awaitable);
  socket.close();
  for (int i = 0; i < 500 && !noticed; ++i) co_await sleep_for(10ms);
  CHECK(noticed);
}

awaitable<void> slow_request_is_finished_by_stop(Loop& loop) {
  http::ClientRequest request{"GET", loop.url("/"), {}, {}};
  auto answer = co_await http::fetch(std::move(request));
  REQUIRE(answer);
  CHECK(answer->body == "late");
}

}  // namespace

TEST_CASE("a body goes to the handler and its answer comes back") {
  Loop loop(echo);
  loop.run(posted_body_comes_back(loop));
}

TEST_CASE("a connection is kept for the next request, chunked or not") {
  Loop loop(echo);
  loop.run(two_requests_on_one_connection(loop));
}

TEST_CASE("bad requests get the status that says what is wrong") {
  struct Case {
    std::string request;
    std::string expected;
  };
  const std::string big(2000, 'x');
  for (const auto& c : {
           Case{"nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request"},
           Case{"GET / HTTP/1.1\r\nX: " + std::string(40'000, 'x') + "\r\n\r\n", "HTTP/1.1 431"},
           Case{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\nConnection: close\r\n\r\n" +
                    big,
                "HTTP/1.1 413 Content Too Large"},
           Case{"GET /a%ffb HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                "the request is malformed: an escape of the path is not %XX, or no UTF-8"},
           Case{"GET /a?b=\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                "HTTP/1.1 400 Bad Request"},
           Case{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                "HTTP/1.1 400 Bad Request"},
       }) {
    Loop loop(echo);
    loop.run(expect_answer(loop, c.request, c.expected));
  }
}

TEST_CASE("a client that waits for 100 Continue gets it when the body is wanted") {
  Loop loop(echo);
  loop.run(
      expect_answer(loop,
                    "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n"
                    "Connection: close\r\n\r\nx",
                    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"));
}

TEST_CASE("HEAD has the head only") {
  Loop loop(echo);
  loop.run(expect_answer(loop, "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                         "Content-Length: 0\r\n\r\n"));
}

TEST_CASE("a streamed answer arrives piece by piece") {
  Loop loop(count_to_three);
  loop.run(stream_arrives(loop));
}

TEST_CASE("a head that takes too long is cut") {
  http::ServerLimits limits;
  limits.header_time = 1s;
  Loop loop(echo, limits);
  loop.run(expect_answer(loop, "GET / HTTP/1.1\r\nHost:", ""));
}

TEST_CASE("a handler learns that its client is gone") {
  bool noticed = false;
  // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines): handler outlives it
  http::Handler handler = [&](http::Request&, http::ResponseWriter& response) -> awaitable<void> {
    http::Headers headers;
    co_await response.start(200, std::move(headers));
    co_await response.peer_gone();
    noticed = true;
  };
  Loop loop(handler);
  loop.run(client_leaves(loop, noticed));
}

TEST_CASE("an exception of a handler is a 500") {
  http::Handler handler = [](http::Request&, http::ResponseWriter&) -> awaitable<void> {
    throw std::runtime_error("boom");
    co_return;
  };
  Loop loop(handler);
  loop.run(expect_answer(loop, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 500"));
}

TEST_CASE("a stop lets the request in hand finish") {
  // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines): handler outlives it
  http::Handler handler = [&](http::Request&, http::ResponseWriter& response) -> awaitable<void> {
    co_await sleep_for(200ms);
    http::Response answer{200, {}, "late"};
    co_await response.send(std::move(answer));
  };
  Loop loop(handler);
  // The stop begins while the request waits.
  asio::steady_timer timer(loop.io, 50ms);
  timer.async_wait(
      [&](error_code) { asio::co_spawn(loop.io, loop.server.stop(5s), asio::detached); });
  loop.run(slow_request_is_finished_by_stop(loop));
}
