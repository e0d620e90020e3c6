// An attempt at an instance that speaks HTTP/2.
#include "reverse-proxy/exchange.hpp"
#include "reverse-proxy/http2/client_pool.hpp"
#include "reverse-proxy/watch.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

using http1::BodyKind;
using http2::ClientStream;

Task<bool> Exchange::ask_by_http2(bool once) {
  begin_attempt();
  const auto& speech = request_->rules->speech();
  http2::ClientPool::Wish wish{at_.shared(), speech, {}, once};
  if (speech->tls() != nullptr) wish.name = speech->name_for(request_->target->host);
  auto opened = co_await worker_.http2_instances().open(std::move(wish));
  own_fault_ = opened.own_fault;
  reused_ = opened.reused;
  if (!opened.stream) {
    not_connected(opened.late    ? Step::late
                  : opened.full  ? Step::full
                  : opened.unfit ? Step::unfit
                                 : Step::no_answer,
                  opened.why);
    co_return false;
  }
  if (visitor_->left()) {
    fail(Step::client_gone);
    co_return false;
  }
  co_await attempt(*opened.stream);
  refused_ = opened.stream->unprocessed();
  reset_ = opened.stream->was_reset();
  again_here_ = refused_ && !reset_;
  co_return !refused_;
}

Task<void> Exchange::attempt(ClientStream& up) {
  const bool tls = speech_->tls() != nullptr;
  request_lines_.set(*request_->head, *request_->target, request_->framing, request_->by,
                     tls ? "https" : "http");
  const Watch watch(*visitor_);
  visitor_->watch_for_leaving(&up);
  if (!up.ask(request_lines_, has_body())) {
    fail(Step::no_answer);
  } else if (has_body()) {
    uploading_ = true;
    co_await Both(upload(up), receive(up));
  } else {
    co_await receive(up);
  }
}

Task<void> Exchange::upload(ClientStream& up) {
  bool taken = true;
  if (whole_body_) {
    const auto body = visitor_->taken_in();
    taken = co_await up.send({body.data(), body.size()}, true, nullptr);
  } else if (!taken_.empty() || visitor_->body_complete()) {
    // What an attempt before this one has taken of it.
    const bool last = visitor_->body_complete();
    taken = co_await up.send({taken_.data(), taken_.size()}, last,
                             last ? visitor_->trailers() : nullptr);
  }
  std::uint64_t passed = taken_.size();
  while (taken && !upload_ended_ && !whole_body_ && !visitor_->body_complete()) {
    const auto piece = co_await visitor_->next_piece();
    passed += piece.bytes.size();
    if (upload_ended_) {
      // Of a request that no instance has looked at, this goes to the next one.
      keep_for_repeat(piece, passed);
      break;
    }
    if (!may_pass(piece, passed)) {
      // The application sees a broken request, never one that looks complete.
      up.reset();
      break;
    }
    keep_for_repeat(piece, passed);
    const bool last = piece.end == BodyReader::End::complete;
    taken = co_await up.send(piece.bytes, last, last ? visitor_->trailers() : nullptr);
  }
  uploading_ = false;
  if (upload_ended_ || (!whole_body_ && !visitor_->body_complete())) co_return;
  visitor_->watch_for_leaving(&up);
  if (!visitor_->left()) co_return;
  fail(Step::client_gone);
  up.reset();
}

void Exchange::keep_for_repeat(const BodyReader::Piece& piece, std::uint64_t passed) {
  if (passed > worker_.limits().whole_body_bytes || answer_begun_) replayable_ = false;
  if (replayable_) taken_.append(piece.bytes.data(), piece.bytes.size());
}

void Exchange::end_upload(ClientStream& up) {
  if (!uploading_) return;
  upload_ended_ = true;
  up.stop_sending();
  if (up.unprocessed() && replayable_)
    visitor_->interrupt_body();
  else
    visitor_->stop_body();
}

Task<void> Exchange::receive(ClientStream& up) {
  const bool read = co_await read_final_head(up);
  if (auto framing = read && !step_ ? answer_framing() : std::nullopt) {
    // HTTP/2 needs no word about a length that is not known.
    if (framing->kind == BodyKind::until_close)
      *framing = up.answer_ended() && !up.has_body() ? http1::Framing{BodyKind::length, 0}
                                                     : http1::Framing{BodyKind::chunked, 0};
    if (framing->kind == BodyKind::none) up.expect_no_body();
    co_await relay_answer(AnswerBody(up), *framing);
  }
  end_upload(up);
}

Task<bool> Exchange::read_head(ClientStream& up) {
  const auto came = co_await up.next_head(answer_);
  if (came == ClientStream::Came::head) co_return true;
  if (visitor_->left())
    fail(Step::client_gone);
  else if (came == ClientStream::Came::late)
    fail(Step::late);
  else if (!up.broke().empty())
    fail(Step::nonsense, up.broke());
  else
    fail(Step::no_answer);
  co_return false;
}

}  // namespace karreg::proxy
