#include "reverse-proxy/http1_visitor.hpp"

#include "reverse-proxy/http1/chunk_frame.hpp"
#include "reverse-proxy/turn.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

using http1::BodyKind;

Http1Visitor::Http1Visitor(Worker& worker, Connection& client, Buffer& in, Turn& turn)
    : worker_(worker),
      client_(client),
      in_(in),
      turn_(turn),
      read_before_(client.read_bytes() - in.size()),
      written_before_(client.written_bytes()) {}

SteadyTime Http1Visitor::patience() const {
  return client_.now() + worker_.limits().client_time;
}

std::size_t Http1Visitor::consumed() {
  if (body_) body_->finish();
  return turn_.request.head_bytes + body_length_;
}

void Http1Visitor::begin_body(const http1::Framing& framing) {
  body_.emplace(client_, in_, turn_.request.head_bytes, framing);
}

Task<bool> Http1Visitor::take_in() {
  const auto length = static_cast<std::size_t>(turn_.request.framing.length);
  while (in_.size() < turn_.request.head_bytes + length) {
    const auto read = co_await client_.read_some(in_, patience());
    if (!read.ok()) co_return false;
  }
  body_length_ = length;
  taken_in_ = true;
  co_return true;
}

std::string_view Http1Visitor::taken_in() const {
  return in_.view(turn_.request.head_bytes).substr(0, body_length_);
}

Task<BodyReader::Piece> Http1Visitor::next_piece() {
  return body_->next(worker_.limits().client_time);
}

void Http1Visitor::stop_body() {
  if (body_complete()) return;
  keep_ = false;
  client_.cancel();
}

void Http1Visitor::interrupt_body() {
  if (body_complete()) return;
  body_->interrupt();
  client_.cancel();
}

Task<bool> Http1Visitor::inform(const http1::ResponseHead& head) {
  // HTTP/1.0 has none (RFC 9110 §15.2).
  if (turn_.head.minor_version < 1) co_return true;
  auto& text = turn_.answer_text;
  text.clear();
  http1::append_response(text, head, {}, {});
  const auto ec = co_await client_.write(text, patience());
  text.clear();
  co_return !ec;
}

bool Http1Visitor::can_keep() const {
  // An answer before the body is through ends the connection, since the rest is not read: what the
  // client sends next would be lost with it.
  return turn_.head.persistent() && !ends_ && !worker_.draining() && body_complete();
}

void Http1Visitor::begin_answer(const http1::ResponseHead& head, const http1::Framing& framing,
                                http1::AnswerForm form) {
  form.client_minor_version = turn_.head.minor_version;
  const auto to_client = http1::framing_to_client(framing, form.client_minor_version);
  answer_kind_ = to_client.kind;
  keep_ = can_keep() && answer_kind_ != BodyKind::until_close && !form.upgrade;
  form.keep_alive = keep_;
  turn_.answer_text.clear();
  http1::append_response(turn_.answer_text, head, to_client, form);
}

void Http1Visitor::trail(const http1::Trailers& trailers) {
  // Others may drop them, and must not be surprised (RFC 9110 §6.5.1).
  if (turn_.head.known.te_trailers) trailers_ = &trailers;
}

Task<bool> Http1Visitor::send(std::span<const char> bytes, bool last) {
  const http1::ChunkFrame frame(bytes, last, answer_kind_, trailers_);
  const auto ec = co_await client_.write(
      Pieces{turn_.answer_text, frame.before(), {bytes.data(), bytes.size()}, frame.after()},
      patience());
  turn_.answer_text.clear();
  answered_ = last && !ec;
  co_return !ec;
}

void Http1Visitor::break_off() {
  answered_ = false;
  // Without a length the client would take the end of the connection for the end of the answer.
  if (answer_kind_ == BodyKind::until_close)
    client_.reset();
  else
    client_.close();
}

Task<bool> Http1Visitor::say(const Answer& answer, AnswerFormat format,
                             std::string_view request_id) {
  AnswerDelivery delivery;
  delivery.format = format;
  delivery.request_id = request_id;
  if (turn_.request.head != nullptr) {
    delivery.keep_alive = can_keep();
    delivery.head_request = turn_.head.method == "HEAD";
    delivery.client_minor_version = turn_.head.minor_version;
  }
  const auto text = render(answer, delivery);
  const auto ec = co_await client_.write(text, patience());
  keep_ = delivery.keep_alive;
  answered_ = !ec;
  co_return !ec;
}

std::optional<Visitor::Wire> Http1Visitor::wire() {
  return Wire{client_, in_, turn_.request.head_bytes};
}

std::string_view Http1Visitor::protocol() const {
  return turn_.head.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

}  // namespace karreg::proxy
