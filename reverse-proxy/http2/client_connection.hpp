#pragma once

#include <memory>

#include "reverse-proxy/connection.hpp"
#include "reverse-proxy/http2/client_stream.hpp"
#include "reverse-proxy/limits.hpp"

namespace karreg::proxy::http2 {

/// A connection to an instance that speaks HTTP/2, and the session on it.
class ClientConnection {
 public:
  /// @p changed: as for the session. What is referred to stays alive until run() has ended.
  ClientConnection(std::unique_ptr<Connection> connection, BufferPool& buffers,
                   const Limits& limits, std::function<void()> changed);
  ~ClientConnection() { buffers_.take_back(in_); }
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  /// Until the connection is over.
  Task<void> run();
  const ClientSession& session() const { return session_; }
  /// nullptr: there is no room.
  std::unique_ptr<ClientStream> open();
  /// Whether a stream was opened before.
  bool used() const { return used_; }
  /// It ended since the instance said nothing for too long.
  bool late() const { return late_; }
  void ping() { session_.ping(); }
  /// No new streams; the connection ends with the last one.
  void leave() { session_.leave(); }
  void sweep(SteadyTime now) { session_.sweep(now); }

 private:
  Task<void> read();
  Task<void> write();
  void end(std::string_view why);
  /// Until when the instance must have said something.
  SteadyTime expected_by() const;

  std::unique_ptr<Connection> connection_;
  BufferPool& buffers_;
  const Limits& limits_;
  std::function<void()> changed_;
  Buffer in_;
  const SteadyTime greeting_by_;
  ClientSession session_;
  bool used_ = false;
  bool late_ = false;
};

}  // namespace karreg::proxy::http2
