#pragma once
/// An HTTP/1.1 client for the platform's own calls: the command line, health checks, tests. One
/// connection a call.

#include <chrono>
#include <functional>
#include <string>

#include "common/async/asio.hpp"
#include "common/http/message.hpp"

namespace karreg::http {

struct ClientRequest {
  std::string method = "GET";
  std::string url;
  Headers headers;
  std::string body;
  std::chrono::milliseconds deadline{
      30'000};  ///< for the whole exchange; of a stream: for the head, then without a byte
  std::size_t max_body_bytes = 64UL * 1024 * 1024;
};

/// Takes a piece of a streamed body; returns false to end the stream.
using OnPiece = std::function<bool(std::string_view)>;
/// Takes status and headers of a streamed answer whose status is below 400, before its body; an
/// error ends the call with it.
using OnHead = std::function<Result<void>(const Response&)>;

/// Sends @p request and reads the whole answer. https verifies the server by the system's
/// authorities. Errors: `unavailable` (no connection, cut), `timeout`, `too_large`, `invalid`
/// (URL).
awaitable<Result<Response>> fetch(ClientRequest request);
/// The same with a body given piece by piece; the returned Response has none. A status of 400 or
/// more is read whole as by fetch().
awaitable<Result<Response>> stream(ClientRequest request, OnPiece on_piece, OnHead on_head = {});

/// fetch() and stream() for programs without an io_context of their own.
Result<Response> fetch_blocking(ClientRequest request);
Result<Response> stream_blocking(ClientRequest request, OnPiece on_piece, OnHead on_head = {});

}  // namespace karreg::http
