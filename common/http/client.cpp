#include "common/http/client.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

namespace karreg::http {

namespace {

namespace beast = boost::beast;
/// What takes an answer.
struct Sink {
  std::function<Result<bool>(int status, std::string_view)> piece;
  OnHead head = {};
};

Error call_error(const Url& url, const error_code& ec) {
  const bool late = ec == beast::error::timeout;
  return Error(late ? ErrorKind::timeout : ErrorKind::unavailable,
               late ? fmt::format("{}:{} did not answer in time", url.host, url.port)
                    : fmt::format("no answer from {}:{}: {}", url.host, url.port, ec.message()));
}

template <class Stream>
awaitable<Result<Response>> exchange(Stream& stream, const Url& url, const ClientRequest& request,
                                     bool streaming, const Sink& sink) {
  auto& lowest = beast::get_lowest_layer(stream);
  beast::http::request<beast::http::string_body> message;
  message.method_string(request.method);
  message.target(url.target);
  message.version(11);
  const bool usual = url.port == (url.scheme == "https" ? "443" : "80");
  message.set(beast::http::field::host, usual ? url.host : url.host + ":" + url.port);
  message.set(beast::http::field::connection, "close");
  for (const auto& [name, value] : request.headers.entries()) message.set(name, value);
  message.body() = request.body;
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT")
    message.content_length(request.body.size());
  auto [write_error, written] = co_await beast::http::async_write(stream, message, as_result);
  if (write_error) co_return call_error(url, write_error);

  beast::flat_buffer buffer;
  beast::http::response_parser<beast::http::buffer_body> parser;
  parser.body_limit(boost::none);
  parser.header_limit(64UL * 1024);
  if (request.method == "HEAD") parser.skip(true);
  auto [head_error, head] =
      co_await beast::http::async_read_header(stream, buffer, parser, as_result);
  if (head_error) co_return call_error(url, head_error);
  Response response;
  response.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get())
    response.headers.add(std::string(field.name_string()), std::string(field.value()));
  if (sink.head && response.status < 400) {
    auto taken = sink.head(response);
    if (!taken) co_return taken.error();
  }
  std::array<char, 16UL * 1024> piece{};
  while (!parser.is_done()) {
    if (streaming) lowest.expires_after(request.deadline);
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    auto [ec, n] = co_await beast::http::async_read_some(stream, buffer, parser, as_result);
    const std::size_t got = piece.size() - parser.get().body().size;
    if (got > 0) {
      auto more = sink.piece(response.status, {piece.data(), got});
      if (!more) co_return more.error();
      if (!*more) co_return response;
    }
    if (ec && ec != beast::http::error::need_buffer) co_return call_error(url, ec);
  }
  co_return response;
}

awaitable<Result<Response>> call(ClientRequest request, bool streaming, Sink sink) {
  auto url = parse_url(request.url);
  if (!url) co_return url.error();
  auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::resolver resolver(executor);
  // *.localhost is this machine (RFC 6761 §6.3), whether or not the resolver knows.
  const bool local = url->host == "localhost" || url->host.ends_with(".localhost");
  auto [resolve_error, addresses] =
      co_await resolver.async_resolve(local ? "127.0.0.1" : url->host, url->port, as_result);
  if (resolve_error) co_return call_error(*url, resolve_error);
  if (url->scheme == "http") {
    beast::tcp_stream stream(executor);
    stream.expires_after(request.deadline);
    auto [ec, endpoint] = co_await stream.async_connect(addresses, as_result);
    if (ec) co_return call_error(*url, ec);
    auto answer = co_await exchange(stream, *url, request, streaming, sink);
    co_return answer;
  }
  asio::ssl::context context(asio::ssl::context::tls_client);
  context.set_default_verify_paths();
  context.set_verify_mode(asio::ssl::verify_peer);
  beast::ssl_stream<beast::tcp_stream> stream(executor, context);
  stream.set_verify_callback(asio::ssl::host_name_verification(url->host));
  if (SSL_set_tlsext_host_name(stream.native_handle(), url->host.c_str()) != 1)
    co_return Error(ErrorKind::internal, "cannot set the server name for TLS");
  beast::get_lowest_layer(stream).expires_after(request.deadline);
  auto [ec, endpoint] =
      co_await beast::get_lowest_layer(stream).async_connect(addresses, as_result);
  if (ec) co_return call_error(*url, ec);
  auto [tls_error] = co_await stream.async_handshake(asio::ssl::stream_base::client, as_result);
  if (tls_error) co_return call_error(*url, tls_error);
  auto answer = co_await exchange(stream, *url, request, streaming, sink);
  co_return answer;
}

Result<Response> run(awaitable<Result<Response>> task) {
  asio::io_context io;
  Result<Response> result = Error(ErrorKind::internal, "the call did not run");
  std::exception_ptr failure;
  asio::co_spawn(io, std::move(task), [&](std::exception_ptr e, Result<Response> r) {
    failure = e;
    result = std::move(r);
  });
  io.run();
  if (failure) std::rethrow_exception(failure);
  return result;
}

}  // namespace

awaitable<Result<Response>> fetch(ClientRequest request) {
  auto body = std::make_shared<std::string>();
  const std::size_t max = request.max_body_bytes;
  auto keep = [body, max](int, std::string_view piece) -> Result<bool> {
    if (body->size() + piece.size() > max)
      return Error(ErrorKind::too_large,
                   "the answer is larger than " + std::to_string(max) + " bytes");
    body->append(piece);
    return true;
  };
  auto response = co_await call(std::move(request), false, Sink{std::move(keep)});
  if (response) response->body = std::move(*body);
  co_return response;
}

awaitable<Result<Response>> stream(ClientRequest request, OnPiece on_piece, OnHead on_head) {
  auto error_body = std::make_shared<std::string>();
  const std::size_t max = request.max_body_bytes;
  auto pass = [error_body, max, on_piece = std::move(on_piece)](
                  int status, std::string_view piece) -> Result<bool> {
    if (status < 400) return on_piece(piece);
    if (error_body->size() + piece.size() <= max) error_body->append(piece);
    return true;
  };
  auto response =
      co_await call(std::move(request), true, Sink{std::move(pass), std::move(on_head)});
  if (response) response->body = std::move(*error_body);
  co_return response;
}

Result<Response> fetch_blocking(ClientRequest request) {
  return run(fetch(std::move(request)));
}
Result<Response> stream_blocking(ClientRequest request, OnPiece on_piece, OnHead on_head) {
  return run(stream(std::move(request), std::move(on_piece), std::move(on_head)));
}

}  // namespace karreg::http
