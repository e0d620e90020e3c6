#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "reverse-proxy/body_reader.hpp"
#include "reverse-proxy/http2/answer_fields.hpp"
#include "reverse-proxy/http2/client_session.hpp"
#include "reverse-proxy/http2/request_lines.hpp"

namespace karreg::proxy::http2 {

/// One request to an instance that speaks HTTP/2, and its answer. Requests and answers flow at the
/// same time; each way a piece is taken before the next one is asked for. It may outlive its
/// session, which has ended it then.
class ClientStream final : public ClientStreamHook, public Cancellable {
 public:
  explicit ClientStream(ClientSession& session);
  /// What is not through is cancelled, so that the instance works for nobody.
  ~ClientStream();
  ClientStream(const ClientStream&) = delete;
  ClientStream& operator=(const ClientStream&) = delete;
  // As coroutines: there is one for each request.
  static void* operator new(std::size_t bytes) { return detail::FrameMemory::take(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    detail::FrameMemory::give_back(memory, bytes);
  }

  // The request.

  /// Sends its head. @p body_comes: by send(). False: the session takes none any more.
  bool ask(const RequestLines& request, bool body_comes);
  /// A piece of its body; waits until it was taken, as long as the session has patience. @p
  /// trailers follow the last one; they stay meanwhile; nullptr: none. False: it was not.
  Task<bool> send(std::span<const char> bytes, bool last, const http1::Trailers* trailers);
  /// The rest is not wanted: a send() that waits ends.
  void stop_sending();

  // The answer.

  enum class Came {
    head,
    ended,  ///< the stream is over, or was cancelled
    late,   ///< the instance said nothing for too long
  };
  /// Waits for the next head, informational or not, and fills @p into, valid until the next call.
  /// The session's patience begins anew with each piece of the request.
  Task<Came> next_head(http1::ResponseHead& into);
  /// There is no body, whatever comes.
  void expect_no_body() { complete_ = true; }
  /// The instance has said all of its answer.
  bool answer_ended() const { return answer_ended_; }
  /// Some of its body waits, or trailers have come.
  bool has_body() const { return !body_.empty() || trailers() != nullptr; }
  /// As a BodyReader.
  BodyReader::Piece buffered();
  Task<BodyReader::Piece> next();
  const http1::Trailers* trailers() const {
    return trailers_ && !trailers_->empty() ? trailers_.get() : nullptr;
  }
  /// More of the body is there already.
  bool has_more() const { return !body_.empty() || answer_ended_; }

  // Its end.

  /// Waits end.
  void cancel() override;
  /// The instance is told that nobody waits for it any more.
  void reset(std::uint32_t error = NGHTTP2_CANCEL);
  /// The instance has not looked at the request, for certain: it may be sent again, whatever it is.
  bool unprocessed() const { return unprocessed_; }
  /// What the instance did against the protocol, in English; empty: nothing.
  std::string_view broke() const { return broke_; }
  /// It was the instance that reset it.
  bool was_reset() const { return was_reset_; }

 private:
  friend class ClientSession;

  // From the session, as frames come and go.
  void field(std::string_view name, std::string_view value);
  void head_ended(bool answer_ended);
  void add_body(std::string_view bytes);
  void body_ended();
  void head_sent(bool request_ended);
  /// @p error: as in RST_STREAM.
  void close(std::uint32_t error);
  /// It belongs to the session no longer.
  void detach();
  void break_rule(std::string_view why) {
    if (broke_.empty()) broke_ = why;
  }
  void sweep(SteadyTime now);
  std::optional<std::size_t> next_of_request(std::size_t most, bool& last) const;
  std::span<const char> take_request(std::size_t size);
  static ssize_t read_request(nghttp2_session* frames, std::int32_t id, std::uint8_t* into,
                              std::size_t most, std::uint32_t* flags, nghttp2_data_source* source,
                              void* session);
  bool submit_trailers();

  void open_window(std::size_t bytes);
  SteadyTime patience() const { return session_->loop_.now() + session_->bounds_.patience; }

  ClientSession* session_;  ///< nullptr: it has ended
  std::int32_t id_ = -1;
  Signal answer_news_;
  Signal taken_news_;

  std::span<const char> piece_;  ///< of the request, to be taken
  bool last_ = false;            ///< it is the last one
  const http1::Trailers* request_trailers_ = nullptr;
  bool request_ended_ = false;  ///< all of it is on its way
  bool stopped_ = false;        ///< the rest of it is not wanted

  /// Heads that wait to be asked for, the oldest first; the one that comes is the last one.
  std::vector<AnswerFields> heads_;
  AnswerFields head_;  ///< the one that was given out
  std::size_t whole_heads_ = 0;
  bool final_head_ = false;  ///< came: fields that come now are trailers
  std::unique_ptr<http1::Trailers> trailers_;
  std::string body_;          ///< came and waits
  std::string handed_;        ///< was handed out last
  std::size_t unopened_ = 0;  ///< bytes that came, for which the window was not opened
  bool answer_ended_ = false;
  bool complete_ = false;  ///< all of the body was handed out

  bool head_sent_ = false;
  bool closed_ = false;
  bool cancelled_ = false;
  bool unprocessed_ = false;
  bool was_reset_ = false;
  bool answer_late_ = false;
  bool send_late_ = false;
  std::string_view broke_;
  SteadyTime answer_by_ = SteadyTime::max();
  SteadyTime send_by_ = SteadyTime::max();
};

}  // namespace karreg::proxy::http2
