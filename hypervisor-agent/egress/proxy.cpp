#include "hypervisor-agent/egress/proxy.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <memory>

#include "common/text.hpp"

namespace karreg::agent::egress {

using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;
using asio::ip::tcp;

namespace {

constexpr auto quietly = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t max_head = std::size_t{16} * 1024;
constexpr std::size_t piece = std::size_t{64} * 1024;
constexpr auto patience = 30s;
constexpr auto silence = 5min;

/// The two ends of a conversation.
struct Ends {
  explicit Ends(tcp::socket from) : client(std::move(from)), server(client.get_executor()) {}
  tcp::socket client;
  tcp::socket server;
};

/// Closes both ends when they are silent for too long.
class Watch {
 public:
  explicit Watch(std::shared_ptr<Ends> ends)
      : ends_(std::move(ends)), timer_(ends_->client.get_executor()) {
    moved(patience);
  }
  void moved(std::chrono::steady_clock::duration time = silence) {
    timer_.expires_after(time);
    timer_.async_wait([ends = ends_](boost::system::error_code stopped) {
      if (stopped) return;
      boost::system::error_code ignored;
      ends->client.close(ignored);
      ends->server.close(ignored);
    });
  }

 private:
  std::shared_ptr<Ends> ends_;
  asio::steady_timer timer_;
};

struct Request {
  std::string method, target, rest;  ///< rest: the head's fields, each with its line's end
};

std::optional<Request> parse_head(std::string_view head) {
  const auto line_end = head.find("\r\n");
  if (line_end == std::string_view::npos) return std::nullopt;
  const std::string_view line = head.substr(0, line_end);
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last ||
      !line.substr(last + 1).starts_with("HTTP/1."))
    return std::nullopt;
  Request request{std::string(line.substr(0, first)),
                  std::string(line.substr(first + 1, last - first - 1)), ""};
  if (!text::is_token(request.method)) return std::nullopt;
  std::string_view fields = head.substr(line_end + 2);
  while (!fields.empty()) {
    const auto end = fields.find("\r\n");
    if (end == std::string_view::npos || end == 0) break;
    const std::string_view field = fields.substr(0, end);
    fields.remove_prefix(end + 2);
    const std::string name = text::lower(field.substr(0, field.find(':')));
    // One request a connection: what follows it is never taken for another one.
    if (name == "connection" || name == "keep-alive" || name.starts_with("proxy-")) continue;
    request.rest += std::string(field) + "\r\n";
  }
  return request;
}

awaitable<void> refuse(tcp::socket& client, const char* status, const std::string& why) {
  const std::string body = why + "\n";
  const std::string answer = std::string("HTTP/1.1 ") + status +
                             "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
                             "Content-Length: " +
                             std::to_string(body.size()) + "\r\n\r\n" + body;
  co_await asio::async_write(client, asio::buffer(answer), quietly);
  boost::system::error_code ignored;
  client.shutdown(tcp::socket::shutdown_send, ignored);
}

/// Carries bytes until @p from ends; then @p to reads that end.
awaitable<void> carry(tcp::socket& from, tcp::socket& to, Watch& watch) {
  std::vector<char> buffer(piece);
  for (;;) {
    const auto [failed, n] = co_await from.async_read_some(asio::buffer(buffer), quietly);
    if (failed) break;
    watch.moved();
    const auto [lost, written] =
        co_await asio::async_write(to, asio::buffer(buffer.data(), n), quietly);
    if (lost) {
      boost::system::error_code ignored;
      from.close(ignored);
      co_return;
    }
    watch.moved();
  }
  boost::system::error_code ignored;
  to.shutdown(tcp::socket::shutdown_send, ignored);
}

/// Connects to one of the addresses of @p target. Error: a sentence.
awaitable<Result<void>> reach(tcp::socket& server, const Target& target, bool private_addresses) {
  tcp::resolver resolver(server.get_executor());
  const auto [unknown, found] =
      co_await resolver.async_resolve(target.host, std::to_string(target.port), quietly);
  if (unknown) co_return Error(ErrorKind::unavailable, target.host + ": " + unknown.message());
  bool any = false;
  std::string why;
  for (const auto& entry : found) {
    if (!private_addresses && !is_public(entry.endpoint().address())) continue;
    any = true;
    boost::system::error_code ignored;
    server.close(ignored);
    const auto [failed] = co_await server.async_connect(entry.endpoint(), quietly);
    if (!failed) co_return ok();
    why = failed.message();
  }
  if (!any)
    co_return Error(ErrorKind::forbidden,
                    target.host + " has no public address, and builds reach no others");
  co_return Error(ErrorKind::unavailable, target.host + ": " + why);
}

awaitable<void> converse(std::shared_ptr<Ends> ends, const ProxyOptions& options) {
  tcp::socket& client = ends->client;
  tcp::socket& server = ends->server;
  Watch watch(ends);
  std::string buffer;
  const auto [failed, size] = co_await asio::async_read_until(
      client, asio::dynamic_buffer(buffer, max_head), "\r\n\r\n", quietly);
  if (failed) {
    if (buffer.size() >= max_head)
      co_await refuse(client, "431 Request Header Fields Too Large", "The head is too long.");
    co_return;
  }
  const auto request = parse_head(std::string_view(buffer).substr(0, size));
  const std::string already = buffer.substr(size);
  if (!request) {
    co_await refuse(client, "400 Bad Request", "This is no request of HTTP/1.1.");
    co_return;
  }
  const bool tunnel = request->method == "CONNECT";
  std::string path;
  std::optional<Target> target;
  if (tunnel) {
    target = parse_authority(request->target, std::nullopt);
  } else if (request->target.starts_with("http://")) {
    const auto slash = request->target.find('/', 7);
    target = parse_authority(std::string_view(request->target).substr(7, slash - 7), 80);
    path = slash == std::string::npos ? "/" : request->target.substr(slash);
  }
  if (!target) {
    co_await refuse(
        client, "400 Bad Request",
        "Builds reach the outside by this proxy: CONNECT host:443, or GET http://host/.");
    co_return;
  }
  auto allowed = options.policy.check(*target);
  if (allowed) allowed = co_await reach(server, *target, options.private_addresses);
  if (!allowed) {
    const bool forbidden = allowed.error().kind() == ErrorKind::forbidden;
    co_await refuse(client, forbidden ? "403 Forbidden" : "502 Bad Gateway",
                    allowed.error().message());
    co_return;
  }
  std::string to_server = already;
  if (tunnel) {
    constexpr std::string_view done = "HTTP/1.1 200 Connection established\r\n\r\n";
    const auto [lost, n] = co_await asio::async_write(client, asio::buffer(done), quietly);
    if (lost) co_return;
  } else {
    to_server = request->method + " " + path + " HTTP/1.1\r\n" + request->rest +
                "Connection: close\r\n\r\n" + already;
  }
  watch.moved();
  const auto [lost, n] = co_await asio::async_write(server, asio::buffer(to_server), quietly);
  if (lost) co_return;
  co_await (carry(client, server, watch) && carry(server, client, watch));
}

}  // namespace

awaitable<void> serve(tcp::acceptor& listener, const ProxyOptions& options) {
  const auto executor = listener.get_executor();
  auto open = std::make_shared<int>(0);
  auto room = std::make_shared<asio::steady_timer>(executor);
  for (;;) {
    while (*open >= options.connections) {
      room->expires_at(asio::steady_timer::time_point::max());
      co_await room->async_wait(quietly);
    }
    auto [failed, accepted] = co_await listener.async_accept(quietly);
    if (!listener.is_open()) co_return;
    if (failed) {
      // Out of descriptors, perhaps: those that are open will end.
      room->expires_after(100ms);
      co_await room->async_wait(quietly);
      continue;
    }
    ++*open;
    asio::co_spawn(executor, converse(std::make_shared<Ends>(std::move(accepted)), options),
                   [open, room](std::exception_ptr) {
                     --*open;
                     room->cancel();
                   });
  }
}

}  // namespace karreg::agent::egress
