#include "reverse-proxy/http2/client_connection.hpp"

namespace karreg::proxy::http2 {

ClientConnection::ClientConnection(std::unique_ptr<Connection> connection, BufferPool& buffers,
                                   const Limits& limits, std::function<void()> changed)
    : connection_(std::move(connection)),
      buffers_(buffers),
      limits_(limits),
      changed_(std::move(changed)),
      greeting_by_(connection_->now() + limits.answer_time),
      session_(connection_->loop(), buffers, {limits.head, limits.answer_time}, [this] {
        connection_->extend_read(expected_by());
        changed_();
      }) {}

std::unique_ptr<ClientStream> ClientConnection::open() {
  if (session_.room() == 0) return nullptr;
  used_ = true;
  auto stream = std::make_unique<ClientStream>(session_);
  connection_->extend_read(expected_by());
  return stream;
}

SteadyTime ClientConnection::expected_by() const {
  if (!session_.greeted()) return greeting_by_;
  // Streams have their own time.
  return session_.streams() == 0 ? connection_->now() + limits_.http2_backend_idle_time
                                 : SteadyTime::max();
}

Task<void> ClientConnection::run() {
  co_await Both(read(), write());
  connection_->shutdown_send();
  connection_->close();
}

void ClientConnection::end(std::string_view why) {
  session_.end(why);
  connection_->cancel();
}

Task<void> ClientConnection::read() {
  while (!session_.over()) {
    const auto read = co_await connection_->read_some(in_, expected_by());
    if (read.ok()) {
      const bool fine = session_.take(in_.view());
      buffers_.take_back(in_);
      if (!fine) end("it does not keep to HTTP/2");
      continue;
    }
    if (connection_->expired() && session_.greeted() && session_.streams() == 0 &&
        !session_.leaving()) {
      session_.leave();
      continue;
    }
    late_ = connection_->expired();
    end(late_ ? "it said nothing for too long" : "it ended the connection");
  }
}

Task<void> ClientConnection::write() {
  for (;;) {
    const auto bytes = session_.gather();
    if (bytes.empty()) {
      session_.rest();
      if (session_.done()) end("it ended the connection");
      if (session_.over()) co_return;
      co_await session_.words();
      continue;
    }
    const auto ec = co_await connection_->write(bytes, connection_->now() + limits_.answer_time);
    if (!ec) continue;
    // What it said last may still be there to be read, and ends the session then.
    if (connection_->expired()) end("it takes no byte for too long");
    while (!session_.over()) co_await session_.words();
    co_return;
  }
}

}  // namespace karreg::proxy::http2
