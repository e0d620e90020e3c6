#pragma once
/// One request and its answer: choice of a backend, attempts, the streams both ways.

#include <array>
#include <boost/container/small_vector.hpp>
#include <optional>

#include "reverse-proxy/answer_body.hpp"
#include "reverse-proxy/backend.hpp"
#include "reverse-proxy/balance.hpp"
#include "reverse-proxy/holding.hpp"
#include "reverse-proxy/http2/request_lines.hpp"
#include "reverse-proxy/live_routes.hpp"
#include "reverse-proxy/upstream_pool.hpp"
#include "reverse-proxy/visitor.hpp"

namespace karreg::proxy {

class Worker;

/// A request as the session read it, and what becomes known of it on the way.
struct Request {
  const http1::RequestHead* head = nullptr;
  const http1::Target* target = nullptr;
  std::size_t head_bytes = 0;  ///< at the front of the client's buffer, for HTTP/1
  http1::Framing framing;
  http1::ForwardedBy by;
  std::string id;
  std::array<char, 32> trace{};  ///< id of its trace: the client's, or its own first id
  std::string app;
  std::string instance;
  std::chrono::system_clock::time_point begun_at;
  SteadyTime begun;
  SteadyTime first_byte{};  ///< of the application's answer
  int status = 0;
  int attempts = 0;
  bool answered = false;                         ///< completely
  bool hsts = false;                             ///< the client is told to come by https only
  bool https = false;                            ///< the client came by it
  bool asleep = false;                           ///< the application slept when its head had come
  std::shared_ptr<const rules::AppRules> rules;  ///< nullptr: the application has none
  std::string error;
};

class Exchange {
 public:
  /// Around a piece of an answer, at most: the size and the ends of a chunk, the heads of two
  /// frames of HTTP/2.
  static constexpr std::uint32_t frame_bytes = 64;

  explicit Exchange(Worker& worker) : worker_(worker) { up_in_.leave_unused(frame_bytes); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Passes @p request on and its answer back. What is to be said to the visitor instead, when
  /// there is no answer; nothing: he has one, or nobody is there to be told. Both stay alive
  /// meanwhile.
  Task<std::optional<Answer>> run(Request& request, Visitor& visitor);
  /// Gives back what is borrowed; between requests.
  void release();

 private:
  /// How one attempt ended.
  enum class Step {
    answered,  ///< completely; connection and client are fine
    cut,       ///< the answer had begun: the client's connection must go
    client_gone,
    no_answer,    ///< not a byte came
    late,         ///< the backend's time was over before the answer
    nonsense,     ///< what came is no answer
    bad_body,     ///< the client's chunks are malformed; nothing was answered yet
    body_large,   ///< the client's body is longer than the application's rules allow
    full,         ///< the backend takes no more requests at once
    unfit,        ///< the backend does not speak as the application's rules say
    client_slow,  ///< the client's body came too slowly; nothing was answered yet
  };
  enum class Picked {
    backend,
    no_route,
    asleep,
    nothing_serves,
    app_busy,
    instances_full,
    over_budget,  ///< of requests that are repeated
    all_failed
  };
  /// The request goes no further; what its visitor is told, if he is there.
  struct Over {
    std::optional<Answer> answer;
  };

  SteadyTime now() const;
  void begin(Request& request, Visitor& visitor);
  std::optional<Answer> end(std::optional<Answer> answer);
  bool has_body() const { return request_->framing.kind != http1::BodyKind::none; }
  /// What the newest table has for the request; nullptr: nothing.
  const LiveRoute* route() const;
  Picked pick();
  /// Why none of @p candidates was chosen.
  static Picked none_of(std::span<const Candidate> candidates);
  /// The instance has failed the request.
  void failed(Backend::Failure failure);
  /// Waits until the application, which sleeps, has an instance.
  Task<std::optional<Over>> hold();
  /// A connection to at_: a kept one that will do for @p request, or a new one; nullptr: there is
  /// none.
  std::unique_ptr<Connection> take_kept(UpstreamPool::For request);
  Task<std::unique_ptr<Connection>> connect();
  /// What an instance hears of the visitor first; empty: nothing. Valid until the request is sent.
  std::string_view introduction();
  /// Of at_, for requests as this one is.
  UpstreamPool& kept_connections();
  void not_connected(Step step, const std::string& why);
  void begin_attempt();
  /// An attempt at an instance that speaks HTTP/2, on a stream of a connection that others use,
  /// too. Whether the request may have reached the application.
  Task<bool> ask_by_http2(bool once);
  // HTTP/1.1: http1_attempt.cpp; HTTP/2: http2_attempt.cpp.
  Task<void> attempt(Connection& up);
  Task<void> attempt(http2::ClientStream& up);
  Task<void> upload(Connection& up);
  Task<void> upload(http2::ClientStream& up);
  Task<void> receive(Connection& up);
  Task<void> receive(http2::ClientStream& up);
  /// @p up: a Connection or an http2::ClientStream.
  template <class Up>
  Task<bool> read_final_head(Up& up);
  /// Of an informational answer that was passed on.
  void drop_head(Connection& up);
  void drop_head(http2::ClientStream&) {}
  Task<bool> read_head(Connection& up);
  Task<bool> read_head(http2::ClientStream& up);
  /// Of the head that was read: whether it is the answer's and can be passed on; nothing: it is
  /// informational, the @p informational -th one.
  std::optional<bool> judge_head(int informational);
  void ended_after_informational();
  /// By HTTP/1.1's rules; nothing: there are none for it, and the attempt has failed.
  std::optional<http1::Framing> answer_framing();
  /// Whether the piece @p piece of the client's body, @p passed bytes with it, can be passed on;
  /// else the attempt has failed.
  bool may_pass(const BodyReader::Piece& piece, std::uint64_t passed);
  /// Why the head that was read cannot be passed on; empty: it can.
  std::string_view objection() const;
  Task<void> relay_answer(AnswerBody body, http1::Framing framing);
  Task<void> tunnel(Connection& up);
  void end_upload(Connection& up);
  void end_upload(http2::ClientStream& up);
  /// Of the client's body, @p passed bytes of which have come with @p piece.
  void keep_for_repeat(const BodyReader::Piece& piece, std::uint64_t passed);
  /// The attempt ends as @p step, unless the other direction has said why before.
  void fail(Step step, std::string_view why = {});
  Answer answer_for(Step step) const;

  Worker& worker_;
  Buffer up_in_;
  std::string request_text_;
  http2::RequestLines request_lines_;
  http1::ResponseHead answer_;

  // State of the request in hand.
  Request* request_ = nullptr;
  Visitor* visitor_ = nullptr;
  InFlight at_;
  Holding::Place place_;
  SteadyTime hold_until_{};  ///< from the first hold() on
  boost::container::small_vector<const Backend*, 8> tried_;
  std::string sticky_cookie_;
  bool whole_body_ = false;  ///< it was taken in
  bool repeats_ = false;     ///< an instance may have had work with it before
  int send_proxy_ = 0;       ///< as rules::AppRules::send_proxy()
  bool replayable_ = true;   ///< all that was taken of another body is in taken_
  std::string taken_;
  const rules::Speech* speech_ = nullptr;  ///< of at_; nullptr: HTTP/1.1 in clear
  bool websocket_ = false;
  bool uploading_ = false;
  bool upload_ended_ = false;  ///< the answer is complete: the rest of the body is not wanted
  bool answer_begun_ = false;  ///< its head went, or goes, to the client
  bool reused_ = false;
  bool connection_reusable_ = false;
  bool up_broken_ = false;   ///< the request did not get through as a whole
  bool own_fault_ = false;   ///< it is not the instance's that it could not be connected to
  bool refused_ = false;     ///< the instance has not looked at it, but is there
  bool reset_ = false;       ///< by HTTP/2: the instance has reset its stream
  bool again_here_ = false;  ///< and would by another connection
  std::string unfit_why_;
  std::size_t answer_head_bytes_ = 0;
  std::optional<Step> step_;
  std::string_view why_;
};

}  // namespace karreg::proxy
