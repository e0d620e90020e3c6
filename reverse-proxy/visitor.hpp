#pragma once
/// The visitor's side of one request: where its body comes from, where its answer goes to, whether
/// he is still there. Each protocol that visitors speak is one of these.

#include <optional>
#include <span>
#include <string_view>

#include "reverse-proxy/answers.hpp"
#include "reverse-proxy/body_reader.hpp"
#include "reverse-proxy/http1/forward.hpp"

namespace karreg::proxy {

class Visitor {
 public:
  Visitor() = default;
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;
  virtual ~Visitor() = default;

  // The body of the request.

  /// It is framed like this; once, before all that follows.
  virtual void begin_body(const http1::Framing& framing) = 0;
  /// Takes all of it in, so that it can be sent more than once: one of known length, no longer than
  /// Limits::whole_body_bytes. False: it did not come, see malformed() and late().
  virtual Task<bool> take_in() = 0;
  /// What take_in() has taken.
  virtual std::string_view taken_in() const = 0;
  /// What comes next; waits for it, at most Limits::client_time.
  virtual Task<BodyReader::Piece> next_piece() = 0;
  /// All of it was taken in or handed out.
  virtual bool body_complete() const = 0;
  /// Fields that followed the body, when it is complete; nullptr: none that is passed on.
  virtual const http1::Trailers* trailers() const = 0;
  /// Why a piece was malformed.
  virtual std::string_view malformed() const = 0;
  /// The rest is not wanted: a next_piece() that waits ends.
  virtual void stop_body() = 0;
  /// A next_piece() that waits ends without a piece, and can be asked again.
  virtual void interrupt_body() = 0;

  // The answer.

  /// An informational answer of the application. False: he is gone.
  virtual Task<bool> inform(const http1::ResponseHead& head) = 0;
  /// The head of the answer, to go with the first piece. @p framing is the application's. What they
  /// refer to stays until that has been sent.
  virtual void begin_answer(const http1::ResponseHead& head, const http1::Framing& framing,
                            http1::AnswerForm form) = 0;
  /// Fields that are to follow its last piece, before that is sent; they stay until it was. Left
  /// out where they cannot be said, or were not asked for.
  virtual void trail(const http1::Trailers& trailers) = 0;
  /// A piece of its body; waits until it was taken, at most Limits::client_time for any progress.
  /// False: he is gone, or late().
  virtual Task<bool> send(std::span<const char> bytes, bool last) = 0;
  /// The answer that has begun will never be complete: he must not take it for that.
  virtual void break_off() = 0;
  /// What the proxy says in place of an application. False: it did not reach him.
  virtual Task<bool> say(const Answer& answer, AnswerFormat format,
                         std::string_view request_id) = 0;

  // The visitor himself.

  /// @p up is cancelled when he leaves; nullptr: no longer.
  virtual void watch_for_leaving(Cancellable* up) = 0;
  virtual bool left() const = 0;
  /// His connection, which may be the one of other requests as well.
  virtual const Connection& connection() const = 0;
  /// That one takes no further requests after this one's answer.
  virtual void end_connection() = 0;
  /// The last wait for him ended because his time was over.
  virtual bool late() const = 0;
  /// "HTTP/1.1", as a status line would say it.
  virtual std::string_view protocol() const = 0;
  /// Since the request began to come in.
  virtual std::uint64_t bytes_in() const = 0;
  virtual std::uint64_t bytes_out() const = 0;

  // A tunnel, in place of both bodies, when he has asked for it (http1::wants_websocket()).

  /// Why @p head, 101 or a final answer, must not reach him, in English; empty: it may.
  virtual std::string_view objection(const http1::ResponseHead& head) const = 0;
  /// For a protocol that is left for the tunnel's (HTTP/1.1's Upgrade): what that is made of. Bytes
  /// of @c buffer from @c offset are already the tunnel's. Nothing: what is said in the tunnel
  /// comes by next_piece() and goes by send(), and ends as bodies do.
  struct Wire {
    Connection& connection;
    Buffer& buffer;
    std::size_t offset;
  };
  virtual std::optional<Wire> wire() = 0;
  /// Without a wire: the piece that is waited for, or the next one, may come until @p by.
  virtual void allow_until(SteadyTime by) = 0;
  /// Without a wire: nothing more is said in either direction.
  virtual void hang_up() = 0;
};

}  // namespace karreg::proxy
