#pragma once

#include <nghttp2/nghttp2.h>

#include <boost/intrusive/list.hpp>

#include "reverse-proxy/http2/handshake.hpp"
#include "reverse-proxy/loop/signal.hpp"
#include "reverse-proxy/turn.hpp"
#include "reverse-proxy/visitor.hpp"

namespace karreg::proxy::http2 {

class Session;

using StreamHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>>;

/// One request of an HTTP/2 connection, and its answer. Its window is opened again only for what
/// was handed out, so that a slow application holds its client back.
class Stream final : public Visitor, public StreamHook {
 public:
  // As coroutines: there is one for each request.
  static void* operator new(std::size_t bytes) { return detail::FrameMemory::take(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    detail::FrameMemory::give_back(memory, bytes);
  }

  Stream(Session& session, std::int32_t id);
  ~Stream() override;

  // From the session, as frames come and go.
  void add_field(std::string_view name, std::string_view value);
  void add_trailer(std::string_view name, std::string_view value);
  void head_ended(bool body_comes) { body_comes_ = body_comes; }
  void add_body(std::string_view bytes);
  void body_ended();
  /// It is closed, by whichever side; nothing more comes or goes.
  void closed();
  /// Bytes of the answer's body, at most @p most, that are to be taken next, @p last: and that is
  /// its end; nothing: there is none yet.
  std::optional<std::size_t> next_of_answer(std::size_t most, bool& last) const;
  /// Takes them.
  std::span<const char> take_answer(std::size_t size);
  /// All of the answer is on its way.
  void answer_sent();
  void sweep(SteadyTime now);

  std::int32_t id() const { return id_; }
  /// It is no request and answer any more, but a tunnel: only DATA comes (RFC 9113 §8.5).
  bool is_tunnel() const { return tunnel_; }
  /// Serves the request, and ends the stream.
  Task<void> serve();

  // Visitor.
  void begin_body(const http1::Framing& framing) override;
  Task<bool> take_in() override;
  std::string_view taken_in() const override { return handed_; }
  Task<BodyReader::Piece> next_piece() override;
  bool body_complete() const override { return complete_; }
  const http1::Trailers* trailers() const override {
    return trailers_ && !trailers_->empty() ? trailers_.get() : nullptr;
  }
  std::string_view malformed() const override { return wrong_trailer_; }
  void stop_body() override;
  void interrupt_body() override;
  Task<bool> inform(const http1::ResponseHead& head) override;
  void begin_answer(const http1::ResponseHead& head, const http1::Framing& framing,
                    http1::AnswerForm form) override;
  void trail(const http1::Trailers& trailers) override { answer_trailers_ = &trailers; }
  Task<bool> send(std::span<const char> bytes, bool last) override;
  void break_off() override;
  Task<bool> say(const Answer& answer, AnswerFormat format, std::string_view request_id) override;
  void watch_for_leaving(Cancellable* up) override;
  bool left() const override { return closed_; }
  const Connection& connection() const override;
  void end_connection() override;
  bool late() const override { return body_late_ || answer_late_; }
  std::string_view protocol() const override { return "HTTP/2.0"; }
  std::uint64_t bytes_in() const override { return bytes_in_; }
  std::uint64_t bytes_out() const override { return bytes_out_; }
  std::string_view objection(const http1::ResponseHead& head) const override {
    return handshake_ ? handshake_->objection(head) : std::string_view();
  }
  std::optional<Wire> wire() override { return std::nullopt; }
  void allow_until(SteadyTime by) override;
  void hang_up() override;

 private:
  /// Has the application asked for what the client wants to switch to.
  void ask_for_upgrade();
  void begin_fields(int status);
  void add_answer_field(std::string_view name, std::string_view value) {
    turn_->answer_fields.push_back({name, value});
  }
  /// The fields of the answer as nghttp2 takes (and copies) them.
  using FieldList = boost::container::small_vector<nghttp2_nv, 24>;
  FieldList answer_list() const;
  bool submit_answer(bool with_body);
  /// To a client of gRPC, what else is an answer of HTTP.
  Task<bool> say_by_grpc(const Answer& answer, const AnswerParts& parts);
  bool submit_trailers();
  /// Waits for what body_news_ tells.
  Task<void> wait_for_body();
  /// The client may send as many bytes more.
  void open_window(std::size_t bytes);

  Session& session_;
  const std::int32_t id_;
  std::unique_ptr<Turn> turn_;
  std::string body_;          ///< came and waits
  std::string handed_;        ///< was handed out last, or taken in
  std::size_t unopened_ = 0;  ///< bytes of the body that came, for which the window was not opened
  bool body_comes_ = false;
  bool body_ended_ = false;
  bool complete_ = false;                      ///< all of the body was handed out
  bool unwanted_ = false;                      ///< the rest of the body
  std::unique_ptr<http1::Trailers> trailers_;  ///< of the request, if it has any
  std::string_view wrong_trailer_;             ///< why they cannot be taken
  std::array<char, 4> status_{};               ///< of the answer, in digits
  std::array<char, 20> length_{};              ///< of its body
  bool submitted_ = false;
  std::span<const char> piece_;  ///< of the answer, to be taken
  bool last_ = false;            ///< it is the last one
  const http1::Trailers* answer_trailers_ = nullptr;
  bool answer_ended_ = false;
  bool closed_ = false;
  bool interrupted_ = false;
  bool body_late_ = false;
  bool answer_late_ = false;
  Cancellable* watched_ = nullptr;
  std::unique_ptr<Handshake> handshake_;      ///< of a WebSocket, if it is to be one
  SteadyTime tunnel_by_ = SteadyTime::max();  ///< until when the next piece in a tunnel may come
  bool tunnel_ = false;                       ///< it is one
  SteadyTime body_by_ = SteadyTime::max();
  SteadyTime answer_by_ = SteadyTime::max();
  Signal body_news_;
  Signal answer_news_;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
};

using StreamList = boost::intrusive::list<Stream>;

}  // namespace karreg::proxy::http2
