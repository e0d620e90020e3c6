#pragma once
/// The proxy's side of one HTTP/2 connection to an instance (RFC 9113), by nghttp2: frames in,
/// frames out, a stream for each request. No sockets: ClientConnection carries the bytes.

#include <nghttp2/nghttp2.h>

#include <boost/intrusive/list.hpp>
#include <functional>
#include <memory>
#include <string>

#include "common/handle.hpp"
#include "reverse-proxy/http1/head.hpp"
#include "reverse-proxy/http2/outgoing.hpp"
#include "reverse-proxy/loop/signal.hpp"

namespace karreg::proxy::http2 {

class ClientStream;
using ClientStreamHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>>;

class ClientSession {
 public:
  /// What a session keeps to.
  struct Bounds {
    http1::HeadLimits head;                ///< of an answer, and of its trailers
    std::chrono::milliseconds patience{};  ///< for a word of the instance about a stream
  };
  /// Requests in hand at once on one connection, also when the instance would take more.
  static constexpr std::size_t most_streams = 128;

  /// @p changed is called when there may be room for a stream, or never will be again.
  ClientSession(Loop& loop, BufferPool& buffers, const Bounds& bounds,
                std::function<void()> changed);
  ~ClientSession();
  ClientSession(const ClientSession&) = delete;
  ClientSession& operator=(const ClientSession&) = delete;

  /// Takes what the instance says. False: it is to be told and heard no more, see why().
  bool take(std::string_view bytes);
  /// What is to be sent next; empty: nothing now.
  std::string_view gather();
  /// Nothing is sent for a while.
  void rest() { out_.release(); }
  /// Told when there may be something to send.
  Signal& words() { return words_; }
  /// Nothing more is to come in either direction.
  bool done() const;
  /// The connection is over: so are all streams, @p why in English.
  void end(std::string_view why);
  bool over() const { return over_; }
  /// Why, in English; empty: it is not over, or ended in peace.
  const std::string& why() const { return why_; }

  /// The instance has said how it wants to be spoken to: it does speak HTTP/2.
  bool greeted() const { return greeted_; }
  /// It takes no new requests on this connection (GOAWAY), or shall not be asked any.
  bool leaving() const { return leaving_; }
  /// From now on there are no new streams, which the instance is told.
  void leave();
  /// How many streams may be opened now.
  std::size_t room() const;
  std::size_t streams() const { return streams_.size(); }
  /// Asks for a sign of life; heard() is later when it came.
  void ping();
  SteadyTime heard() const { return heard_; }
  /// Ends waits whose time is over.
  void sweep(SteadyTime now);

 private:
  friend class ClientStream;
  class Callbacks;
  void wake() { words_.tell(); }

  Loop& loop_;
  const Bounds bounds_;
  std::function<void()> changed_;
  Outgoing out_;
  Handle<nghttp2_session, nghttp2_session_del> frames_;
  boost::intrusive::list<ClientStream, boost::intrusive::base_hook<ClientStreamHook>> streams_;
  Signal words_;
  SteadyTime heard_;
  std::string why_;
  bool greeted_ = false;
  bool leaving_ = false;
  bool over_ = false;
  bool asked_for_life_ = false;
  const char* violation_ = nullptr;  ///< of the protocol, by the instance
};

}  // namespace karreg::proxy::http2
