#pragma once
/// One connection of a client: TLS if it came in by that door, then requests one after the other.

#include "reverse-proxy/connection.hpp"
#include "reverse-proxy/http1_visitor.hpp"
#include "reverse-proxy/turn.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

/// Reads the header of the PROXY protocol that a balancer has put at the front of @p connection;
/// @p client becomes the visitor's address. False: there was none, and the connection is of no use.
Task<bool> take_proxy_header(Worker& worker, Connection& connection, std::string& client);

class Session : public SessionHook {
 public:
  /// Serves @p connection until it is over. One coroutine, as far as an idle connection goes.
  static Task<void> serve(Worker& worker, Accepted connection);
  Session(Worker& worker, Accepted& connection);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// The worker drains: an idle connection ends, one that has not said anything yet has a moment.
  void drain();
  /// The worker leaves: the connection ends with its next answer.
  void leave();

 private:
  enum class HeadResult { ready, refused, gone };

  /// Whether the connection is of use: TLS stands, where this is to be TLS.
  Task<bool> begin();
  Task<bool> begin_tls();
  /// Tells the access log when it was for want of a right certificate that the handshake failed.
  void tell_refusal();
  Task<void> speak_http2();
  /// With a connection that has no request in hand.
  Limits::ms patience() const;
  /// Whether the connection goes on.
  Task<bool> serve_request();
  Task<HeadResult> read_head(Http1Visitor& visitor);
  void end_turn();
  Task<void> close_gently();

  Worker& worker_;
  Connection client_;
  Buffer in_;
  std::unique_ptr<Turn> turn_;  ///< of the request in hand; nullptr between requests
  std::string& client_address_;
  const Door& door_;
  http2::Session* http2_ = nullptr;  ///< while the connection speaks that
  bool begun_ = false;               ///< the connection is of use
  bool idle_ = false;
  bool served_any_ = false;
};

}  // namespace karreg::proxy
