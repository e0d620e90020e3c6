#pragma once
/// Inside of common/http: a connection whose request asks for a WebSocket becomes one.

#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/message.hpp>
#include <chrono>
#include <memory>

#include "common/http/websocket.hpp"

namespace karreg::http {

/// Answers @p request with 101 and speaks WebSocket on @p stream from then on, which must outlive
/// the result. Error `invalid` when the request does not ask for it properly (nothing is sent
/// then), `unavailable` when the client is gone.
awaitable<Result<std::unique_ptr<WebSocket>>> accept_websocket(
    boost::beast::tcp_stream& stream,
    const boost::beast::http::request<boost::beast::http::buffer_body>& request,
    std::size_t max_message_bytes, std::chrono::milliseconds write_time);

}  // namespace karreg::http
