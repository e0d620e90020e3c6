#include "reverse-proxy/http2/client_stream.hpp"

#include <boost/container/small_vector.hpp>

#include "common/http/message.hpp"
#include "common/text.hpp"
#include "reverse-proxy/http2/frames.hpp"

namespace karreg::proxy::http2 {

namespace {

/// Informational answers that wait to be passed on.
constexpr std::size_t max_waiting_heads = 16;

/// What is another one each time would only drive out of HPACK's table what comes again; and the
/// secrets of all visitors would lie there beside each other (RFC 7541 §7.1.3).
bool stays_out_of_the_table(std::string_view name) {
  return name == "x-request-id" || name == "traceparent" || name == "authorization" ||
         name == "cookie";
}

using FieldList = boost::container::small_vector<nghttp2_nv, 32>;

void append(FieldList& list, const http1::Field& field) {
  const bool apart = stays_out_of_the_table(field.name);
  list.push_back(
      {bytes_of(field.name), bytes_of(field.value), field.name.size(), field.value.size(),
       static_cast<std::uint8_t>(apart ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)});
}

}  // namespace

ClientStream::ClientStream(ClientSession& session)
    : session_(&session), answer_news_(session.loop_), taken_news_(session.loop_) {
  session.streams_.push_back(*this);
}

ClientStream::~ClientStream() {
  reset();
}

bool ClientStream::ask(const RequestLines& request, bool body_comes) {
  if (closed_) return false;
  FieldList list;
  for (const auto& field : request.fields()) append(list, field);
  nghttp2_data_provider body{};
  body.read_callback = read_request;
  id_ = nghttp2_submit_request(session_->frames_.get(), nullptr, list.data(), list.size(),
                               body_comes ? &body : nullptr, this);
  if (id_ < 0) {
    unprocessed_ = true;
    detach();
    return false;
  }
  session_->wake();
  return true;
}

ssize_t ClientStream::read_request(nghttp2_session* frames, std::int32_t id, std::uint8_t*,
                                   std::size_t most, std::uint32_t* flags, nghttp2_data_source*,
                                   void* session) {
  auto* stream = static_cast<ClientStream*>(nghttp2_session_get_stream_user_data(frames, id));
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  bool last = false;
  // Names the bytes only: the session takes them from where they are.
  const auto room = static_cast<ClientSession*>(session)->out_.data_room();
  const auto size = stream->next_of_request(std::min(most, room), last);
  if (!size) return NGHTTP2_ERR_DEFERRED;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (last) *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (last && stream->request_trailers_ != nullptr) {
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (!stream->submit_trailers()) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  return static_cast<ssize_t>(*size);
}

std::optional<std::size_t> ClientStream::next_of_request(std::size_t most, bool& last) const {
  const auto size = std::min(most, piece_.size());
  last = last_ && size == piece_.size();
  if (size == 0 && !last) return std::nullopt;
  return size;
}

std::span<const char> ClientStream::take_request(std::size_t size) {
  const auto taken = piece_.first(size);
  piece_ = piece_.subspan(size);
  if (size > 0) send_by_ = patience();
  if (piece_.empty()) {
    // Trailers come after it.
    if (request_trailers_ == nullptr) request_ended_ = request_ended_ || last_;
    taken_news_.tell();
  }
  return taken;
}

bool ClientStream::submit_trailers() {
  std::string names;
  // HTTP/2 has none in upper case (RFC 9113 §8.2).
  request_trailers_->for_each([&](const http1::Field& field) { names += text::lower(field.name); });
  FieldList list;
  std::size_t at = 0;
  request_trailers_->for_each([&](const http1::Field& field) {
    append(list, {std::string_view(names).substr(at, field.name.size()), field.value});
    at += field.name.size();
  });
  return nghttp2_submit_trailer(session_->frames_.get(), id_, list.data(), list.size()) == 0;
}

void ClientStream::head_sent(bool request_ended) {
  head_sent_ = true;
  if (!request_ended) return;
  request_ended_ = true;
  taken_news_.tell();
}

Task<bool> ClientStream::send(std::span<const char> bytes, bool last,
                              const http1::Trailers* trailers) {
  if (closed_ || stopped_ || cancelled_) co_return false;
  piece_ = bytes;
  last_ = last;
  request_trailers_ = trailers;
  send_late_ = false;
  // The instance's time for its answer begins anew with each piece of the question.
  if (answer_by_ != SteadyTime::max()) answer_by_ = patience();
  nghttp2_session_resume_data(session_->frames_.get(), id_);
  session_->wake();
  send_by_ = patience();
  while ((!piece_.empty() || (last_ && !request_ended_)) && !closed_ && !stopped_ && !cancelled_ &&
         !send_late_)
    co_await taken_news_;
  send_by_ = SteadyTime::max();
  const bool taken = piece_.empty() && (!last_ || request_ended_);
  // What was not taken must not be taken when it is gone.
  piece_ = {};
  request_trailers_ = nullptr;
  if (!taken) last_ = false;
  co_return taken;
}

void ClientStream::stop_sending() {
  stopped_ = true;
  taken_news_.tell();
}

void ClientStream::field(std::string_view name, std::string_view value) {
  const auto& limits = session_->bounds_.head;
  if (final_head_) {
    if (!trailers_) trailers_ = std::make_unique<http1::Trailers>();
    if (const auto why = trailers_->add({name, value}, limits)) break_rule(*why);
    return;
  }
  if (heads_.size() == whole_heads_) {
    if (whole_heads_ == max_waiting_heads)
      return break_rule("it sends informational answers without end");
    heads_.emplace_back();
  }
  heads_.back().add(name, value, limits);
}

void ClientStream::head_ended(bool answer_ended) {
  if (!final_head_ && heads_.size() > whole_heads_) {
    ++whole_heads_;
    final_head_ = !heads_.back().informational();
  }
  if (answer_ended) answer_ended_ = true;
  answer_news_.tell();
}

void ClientStream::add_body(std::string_view bytes) {
  unopened_ += bytes.size();
  if (complete_) {
    open_window(bytes.size());
    return;
  }
  body_ += bytes;
  answer_news_.tell();
}

void ClientStream::body_ended() {
  answer_ended_ = true;
  answer_news_.tell();
}

void ClientStream::detach() {
  if (session_ == nullptr) return;
  closed_ = true;
  auto& session = *std::exchange(session_, nullptr);
  session.streams_.erase(session.streams_.s_iterator_to(*this));
  // The window of the connection is as large as those of all streams together, so that what still
  // waits here can be forgotten there.
  if (unopened_ > 0 && !session.over_) {
    nghttp2_session_consume_connection(session.frames_.get(), std::exchange(unopened_, 0));
    session.wake();
  }
  answer_news_.tell();
  taken_news_.tell();
}

void ClientStream::close(std::uint32_t error) {
  const bool nothing_came = !final_head_ && whole_heads_ == 0;
  unprocessed_ = nothing_came && (!head_sent_ || error == NGHTTP2_REFUSED_STREAM);
  if (id_ >= 0 && !session_->over_)
    nghttp2_session_set_stream_user_data(session_->frames_.get(), id_, nullptr);
  detach();
}

void ClientStream::reset(std::uint32_t error) {
  if (closed_) return;
  auto& session = *session_;
  if (id_ >= 0 && !session.over_) {
    nghttp2_session_set_stream_user_data(session.frames_.get(), id_, nullptr);
    nghttp2_submit_rst_stream(session.frames_.get(), NGHTTP2_FLAG_NONE, id_, error);
    session.wake();
  }
  detach();
  session.changed_();
}

void ClientStream::cancel() {
  cancelled_ = true;
  answer_news_.tell();
  taken_news_.tell();
}

void ClientStream::sweep(SteadyTime now) {
  if (now >= answer_by_) {
    answer_late_ = true;
    answer_news_.tell();
  }
  if (now >= send_by_) {
    send_late_ = true;
    taken_news_.tell();
  }
}

Task<ClientStream::Came> ClientStream::next_head(http1::ResponseHead& into) {
  answer_late_ = false;
  for (;;) {
    if (!broke_.empty()) co_return Came::ended;
    if (whole_heads_ > 0) {
      head_ = std::move(heads_.front());
      heads_.erase(heads_.begin());
      --whole_heads_;
      const auto refusal = head_.finish(into);
      if (refusal) break_rule(refusal->why);
      into.reason = http::reason_phrase(into.status);
      co_return refusal ? Came::ended : Came::head;
    }
    if (closed_ || cancelled_) co_return Came::ended;
    if (answer_late_) co_return Came::late;
    answer_by_ = patience();
    co_await answer_news_;
    answer_by_ = SteadyTime::max();
  }
}

void ClientStream::open_window(std::size_t bytes) {
  if (bytes == 0 || closed_) return;
  unopened_ -= bytes;
  nghttp2_session_consume(session_->frames_.get(), id_, bytes);
  session_->wake();
}

BodyReader::Piece ClientStream::buffered() {
  using End = BodyReader::End;
  open_window(handed_.size());
  handed_.clear();
  if (complete_) return {{}, End::complete};
  if (!broke_.empty()) return {{}, End::malformed};
  if (body_.empty() && !answer_ended_) return {};
  handed_.swap(body_);
  complete_ = answer_ended_;
  return {handed_, complete_ ? End::complete : End::none};
}

Task<BodyReader::Piece> ClientStream::next() {
  using End = BodyReader::End;
  answer_late_ = false;
  for (;;) {
    const auto piece = buffered();
    if (!piece.bytes.empty() || piece.end != End::none) co_return piece;
    if (closed_ || cancelled_) co_return BodyReader::Piece{{}, End::closed};
    if (answer_late_) co_return BodyReader::Piece{{}, End::expired};
    answer_by_ = patience();
    co_await answer_news_;
    answer_by_ = SteadyTime::max();
  }
}

}  // namespace karreg::proxy::http2
