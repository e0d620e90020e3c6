#include "reverse-proxy/http2/stream.hpp"

#include <algorithm>
#include <charconv>

#include "common/text.hpp"
#include "reverse-proxy/http2/frames.hpp"
#include "reverse-proxy/http2/grpc.hpp"
#include "reverse-proxy/http2/session.hpp"

namespace karreg::proxy::http2 {

using http1::BodyKind;

namespace {

template <std::size_t Size>
std::string_view digits(std::array<char, Size>& into, std::uint64_t number) {
  const auto [end, error] = std::to_chars(into.data(), into.data() + into.size(), number);
  return {into.data(), static_cast<std::size_t>(end - into.data())};
}

}  // namespace

Stream::Stream(Session& session, std::int32_t id)
    : session_(session),
      id_(id),
      turn_(session.worker_.lend_turn()),
      body_news_(session.worker_.loop()),
      answer_news_(session.worker_.loop()) {
  turn_->fields.clear();
}

Stream::~Stream() {
  // nghttp2 forgets what a stream has taken of the connection's window.
  if (unopened_ > 0) {
    nghttp2_session_consume_connection(session_.frames_.get(), unopened_);
    session_.wake_writer();
  }
  turn_->exchange.release();
  session_.worker_.take_back(std::move(turn_));
}

void Stream::add_field(std::string_view name, std::string_view value) {
  bytes_in_ += name.size() + value.size();
  turn_->fields.add(name, value, session_.worker_.limits().head);
}

void Stream::add_trailer(std::string_view name, std::string_view value) {
  bytes_in_ += name.size() + value.size();
  if (!wrong_trailer_.empty()) return;
  if (!trailers_) trailers_ = std::make_unique<http1::Trailers>();
  const auto why = trailers_->add({name, value}, session_.worker_.limits().head);
  if (why) wrong_trailer_ = *why;
}

void Stream::add_body(std::string_view bytes) {
  bytes_in_ += bytes.size();
  unopened_ += bytes.size();
  if (unwanted_) {
    open_window(bytes.size());
    return;
  }
  body_ += bytes;
  body_news_.tell();
}

void Stream::body_ended() {
  body_ended_ = true;
  body_news_.tell();
}

void Stream::closed() {
  closed_ = true;
  if (watched_ != nullptr) watched_->cancel();
  body_news_.tell();
  answer_news_.tell();
}

void Stream::sweep(SteadyTime now) {
  if (now >= body_by_) {
    body_late_ = true;
    body_news_.tell();
  }
  if (now >= answer_by_) {
    // Only a closed window is the client's doing; whether he reads at all the writer sees.
    auto* frames = session_.frames_.get();
    const bool open = nghttp2_session_get_remote_window_size(frames) > 0 &&
                      nghttp2_session_get_stream_remote_window_size(frames, id_) > 0;
    if (open) {
      answer_by_ = session_.patience();
      return;
    }
    answer_late_ = true;
    answer_news_.tell();
  }
}

Task<void> Stream::serve() {
  // Reset as soon as it was asked: nobody else hears of it.
  if (closed_) {
    session_.worker_.count().client_left.add();
    co_return;
  }
  turn_->begin(session_.door_, session_.client_address_);
  if (const auto refusal = turn_->fields.finish(body_comes_, turn_->head)) {
    session_.worker_.count().malformed.add();
    co_await turn_->refuse(*this, refused(*refusal), refusal->why);
  } else {
    ask_for_upgrade();
    co_await turn_->serve(*this);
  }
  if (closed_) co_return;
  // A whole answer to a request that is still coming in says so (RFC 9113 §8.1); without a whole
  // answer the client must not wait for one.
  if (!answer_ended_)
    nghttp2_submit_rst_stream(session_.frames_.get(), NGHTTP2_FLAG_NONE, id_,
                              NGHTTP2_INTERNAL_ERROR);
  else if (!body_ended_)
    nghttp2_submit_rst_stream(session_.frames_.get(), NGHTTP2_FLAG_NONE, id_, NGHTTP2_NO_ERROR);
  session_.wake_writer();
}

void Stream::ask_for_upgrade() {
  if (!turn_->head.known.connection_upgrade) return;
  auto& worker = session_.worker_;
  const auto chance = worker.chance();
  handshake_ = std::make_unique<Handshake>(chance, worker.chance());
  turn_->head.fields.push_back(handshake_->field());
}

void Stream::begin_body(const http1::Framing& framing) {
  complete_ = framing.kind == BodyKind::none;
}

void Stream::open_window(std::size_t bytes) {
  if (bytes == 0 || closed_) return;
  unopened_ -= bytes;
  nghttp2_session_consume(session_.frames_.get(), id_, bytes);
  session_.wake_writer();
}

Task<void> Stream::wait_for_body() {
  body_late_ = false;
  body_by_ = tunnel_ ? tunnel_by_ : session_.patience();
  co_await body_news_;
  body_by_ = SteadyTime::max();
}

Task<bool> Stream::take_in() {
  while (!body_ended_ && !closed_ && !body_late_) co_await wait_for_body();
  if (!body_ended_ || !wrong_trailer_.empty()) co_return false;
  handed_ = std::move(body_);
  open_window(handed_.size());
  complete_ = true;
  co_return true;
}

Task<BodyReader::Piece> Stream::next_piece() {
  using End = BodyReader::End;
  open_window(handed_.size());
  handed_.clear();
  interrupted_ = false;
  for (;;) {
    if (!wrong_trailer_.empty() && !unwanted_) co_return BodyReader::Piece{{}, End::malformed};
    if (!unwanted_ && (!body_.empty() || body_ended_)) {
      handed_.swap(body_);
      complete_ = body_ended_;
      co_return BodyReader::Piece{handed_, complete_ ? End::complete : End::none};
    }
    if (closed_ || unwanted_) co_return BodyReader::Piece{{}, End::closed};
    if (body_late_) co_return BodyReader::Piece{{}, End::expired};
    if (interrupted_) co_return BodyReader::Piece{};
    co_await wait_for_body();
  }
}

void Stream::stop_body() {
  unwanted_ = true;
  open_window(body_.size());
  body_.clear();
  body_news_.tell();
}

void Stream::interrupt_body() {
  interrupted_ = true;
  body_news_.tell();
}

void Stream::begin_fields(int status) {
  turn_->answer_fields.clear();
  add_answer_field(":status", digits(status_, static_cast<std::uint64_t>(status)));
}

Stream::FieldList Stream::answer_list() const {
  FieldList list;
  for (const auto& [name, value] : turn_->answer_fields) {
    // Another one each time: it would only drive out of HPACK's table what comes again.
    std::uint8_t flags = NGHTTP2_NV_FLAG_NONE;
    if (text::iequals(name, "x-request-id")) flags = NGHTTP2_NV_FLAG_NO_INDEX;
    list.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(), flags});
  }
  return list;
}

Task<bool> Stream::inform(const http1::ResponseHead& head) {
  begin_fields(head.status);
  for (const auto& field : head.fields)
    if (http1::goes_to_client(head, field)) add_answer_field(field.name, field.value);
  const auto list = answer_list();
  if (closed_) co_return false;
  const int queued = nghttp2_submit_headers(session_.frames_.get(), NGHTTP2_FLAG_NONE, id_, nullptr,
                                            list.data(), list.size(), nullptr);
  session_.wake_writer();
  co_return queued == 0;
}

void Stream::begin_answer(const http1::ResponseHead& head, const http1::Framing& framing,
                          http1::AnswerForm form) {
  tunnel_ = form.upgrade;
  // What 101 says by HTTP/1.1 (RFC 8441 §5).
  begin_fields(tunnel_ ? 200 : head.status);
  for (const auto& field : head.fields)
    if (http1::goes_to_client(head, field) &&
        !(tunnel_ && text::iequals(field.name, "sec-websocket-accept")))
      add_answer_field(field.name, field.value);
  const bool bodiless = form.head_request || head.status == 304;
  // Of nothing only when the application says it: an answer without a body needs no word about it.
  if (framing.kind == BodyKind::length && (framing.length > 0 || head.known.content_lengths > 0))
    add_answer_field("content-length", digits(length_, framing.length));
  else if (bodiless && head.known.content_lengths == 1)
    add_answer_field("content-length", head.known.content_length);
  http1::for_each_added_field(head, form, [this](std::string_view name, std::string_view value) {
    add_answer_field(name, value);
  });
}

std::optional<std::size_t> Stream::next_of_answer(std::size_t most, bool& last) const {
  const auto size = std::min(most, piece_.size());
  last = last_ && size == piece_.size();
  if (size == 0 && !last) return std::nullopt;
  return size;
}

std::span<const char> Stream::take_answer(std::size_t size) {
  const auto taken = piece_.first(size);
  piece_ = piece_.subspan(size);
  bytes_out_ += size;
  if (size > 0) answer_by_ = session_.patience();
  if (piece_.empty()) {
    // Trailers come after it.
    if (answer_trailers_ == nullptr) answer_ended_ = answer_ended_ || last_;
    answer_news_.tell();
  }
  return taken;
}

void Stream::answer_sent() {
  answer_ended_ = true;
  answer_news_.tell();
}

bool Stream::submit_trailers() {
  FieldList list;
  answer_trailers_->for_each([&](const http1::Field& field) {
    bytes_out_ += field.name.size() + field.value.size();
    list.push_back({bytes_of(field.name), bytes_of(field.value), field.name.size(),
                    field.value.size(), NGHTTP2_NV_FLAG_NONE});
  });
  return nghttp2_submit_trailer(session_.frames_.get(), id_, list.data(), list.size()) == 0;
}

bool Stream::submit_answer(bool with_body) {
  submitted_ = true;
  for (const auto& [name, value] : turn_->answer_fields) bytes_out_ += name.size() + value.size();
  nghttp2_data_provider body{};
  // Names the bytes only: the session takes them from where they are.
  body.read_callback = [](nghttp2_session* frames, std::int32_t id, std::uint8_t*, std::size_t most,
                          std::uint32_t* flags, nghttp2_data_source*, void*) -> ssize_t {
    auto* stream = static_cast<Stream*>(nghttp2_session_get_stream_user_data(frames, id));
    if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    bool last = false;
    const auto size =
        stream->next_of_answer(std::min(most, stream->session_.out_.data_room()), last);
    if (!size) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (last) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (last && stream->answer_trailers_ != nullptr) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      if (!stream->submit_trailers()) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return static_cast<ssize_t>(*size);
  };
  const auto list = answer_list();
  // While the request is not through, the head is waited for (answer_sent()): a reset (serve())
  // would take it away that still waits to be sent.
  answer_ended_ = !with_body && body_ended_;
  return nghttp2_submit_response(session_.frames_.get(), id_, list.data(), list.size(),
                                 with_body ? &body : nullptr) == 0;
}

Task<bool> Stream::send(std::span<const char> bytes, bool last) {
  if (closed_) co_return false;
  piece_ = bytes;
  last_ = last;
  answer_late_ = false;
  if (!submitted_) {
    const bool with_body = !bytes.empty() || !last || answer_trailers_ != nullptr;
    if (!submit_answer(with_body)) co_return false;
  } else {
    nghttp2_session_resume_data(session_.frames_.get(), id_);
  }
  session_.wake_writer();
  answer_by_ = session_.patience();
  while ((!piece_.empty() || (last_ && !answer_ended_)) && !closed_ && !answer_late_)
    co_await answer_news_;
  answer_by_ = SteadyTime::max();
  const bool taken = piece_.empty() && (!last_ || answer_ended_);
  // What nobody took must not be taken when it is gone.
  if (!taken) {
    piece_ = {};
    last_ = false;
    answer_trailers_ = nullptr;
  }
  co_return taken;
}

void Stream::break_off() {
  if (closed_) return;
  nghttp2_submit_rst_stream(session_.frames_.get(), NGHTTP2_FLAG_NONE, id_, NGHTTP2_INTERNAL_ERROR);
  answer_ended_ = true;
  session_.wake_writer();
}

void Stream::allow_until(SteadyTime by) {
  tunnel_by_ = by;
  if (body_by_ != SteadyTime::max()) body_by_ = by;
}

void Stream::hang_up() {
  stop_body();
  // After its orderly end serve() says the rest.
  if (closed_ || answer_ended_) return;
  // As a connection that is reset (RFC 8441 §5).
  nghttp2_submit_rst_stream(session_.frames_.get(), NGHTTP2_FLAG_NONE, id_, NGHTTP2_CANCEL);
  answer_ended_ = true;
  session_.wake_writer();
}

Task<bool> Stream::say(const Answer& answer, AnswerFormat format, std::string_view request_id) {
  const auto parts = parts_of(answer, format, request_id);
  const bool known = turn_->request.head != nullptr;
  if (known && is_grpc(turn_->head.find("content-type").value_or("")))
    co_return co_await say_by_grpc(answer, parts);
  begin_fields(answer.status);
  for (const auto& [name, value] : parts.fields) add_answer_field(name, value);
  const bool head_request = turn_->head.method == "HEAD";
  const std::string_view body = head_request ? std::string_view() : std::string_view(parts.body);
  co_return co_await send({body.data(), body.size()}, true);
}

const Connection& Stream::connection() const {
  return session_.client_;
}

void Stream::end_connection() {
  session_.drain();
}

Task<bool> Stream::say_by_grpc(const Answer& answer, const AnswerParts& parts) {
  // All in one head, which is its end as well ("Trailers-Only").
  begin_fields(200);
  const auto message = grpc_message(answer.title + ". " + answer.message);
  add_answer_field("content-type", "application/grpc");
  add_answer_field("grpc-status", grpc_status(answer.status));
  add_answer_field("grpc-message", message);
  for (const auto& [name, value] : parts.fields)
    if (!text::iequals(name, "content-type") && !text::iequals(name, "content-length"))
      add_answer_field(name, value);
  co_return co_await send({}, true);
}

void Stream::watch_for_leaving(Cancellable* up) {
  watched_ = up;
  if (up != nullptr && closed_) up->cancel();
}

}  // namespace karreg::proxy::http2
