#pragma once
/// One connection of a client that speaks HTTP/2 (RFC 9113), by nghttp2: frames in, frames out, and
/// a stream for each request.

#include <nghttp2/nghttp2.h>

#include "common/handle.hpp"
#include "reverse-proxy/connection.hpp"
#include "reverse-proxy/http2/outgoing.hpp"
#include "reverse-proxy/http2/stream.hpp"
#include "reverse-proxy/loop/signal.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy::http2 {

class Session {
 public:
  /// What is referred to stays alive until run() has ended.
  Session(Worker& worker, Connection& client, Buffer& in, const Door& door,
          std::string_view client_address);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Until the connection is over and the last stream has ended.
  Task<void> run();
  /// Takes no new streams, after a moment for those on their way, and ends with those it has.
  void drain();
  /// Ends waits whose time is over.
  void sweep(SteadyTime now);

 private:
  friend class Stream;
  class Callbacks;

  Task<void> read();
  Task<void> write();
  Task<void> serve(std::unique_ptr<Stream> stream);
  void ended(Stream& stream);
  void forget_coming();
  /// Takes what nghttp2 has to say, as much as fits.
  std::string_view gather();
  /// nghttp2 has something to say.
  void wake_writer() { to_write_.tell(); }
  /// The client can be told nothing more, and says nothing more.
  void end();
  /// Takes what @c in_ holds; false: the connection is to be ended.
  bool take_frames();
  /// Until when the client must have said something.
  SteadyTime expected_by() const;
  SteadyTime patience() const;

  Worker& worker_;
  Connection& client_;
  Buffer& in_;
  const Door& door_;
  const std::string_view client_address_;
  Handle<nghttp2_session, nghttp2_session_del> frames_;
  Outgoing out_;
  std::unique_ptr<Stream> coming_;  ///< its head is not complete; no other frame comes before that
  std::vector<std::unique_ptr<Stream>> begun_;  ///< to be served after this read
  StreamList streams_;                          ///< these, and those being served
  Signal to_write_;
  Signal stream_ended_;
  bool over_ = false;
  bool greeted_ = false;                      ///< the client has said something
  SteadyTime head_by_ = SteadyTime::max();    ///< by then the head that has begun must be complete
  SteadyTime last_call_ = SteadyTime::max();  ///< of a drain: streams that begin later are refused
  bool refusing_ = false;                     ///< that time is over
  bool refused_ = false;                      ///< and the client was told so
  std::uint64_t failed_ = 0;                  ///< streams that were reset, by whichever side
  std::uint64_t done_ = 0;                    ///< streams that ended well
};

}  // namespace karreg::proxy::http2
