// The answer of an application on its way to the visitor, whatever protocols they speak.
#include "reverse-proxy/answer_coding.hpp"
#include "reverse-proxy/exchange.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

Task<void> Exchange::relay_answer(AnswerBody body, http1::Framing framing) {
  auto piece = body.buffered();
  using End = BodyReader::End;
  // Before a byte of it has gone on there is still another answer.
  if (piece.end == End::malformed) {
    fail(Step::nonsense, body.malformed());
    co_return;
  }
  at_->answered();
  request_->status = answer_.status;
  http1::AnswerForm form;
  form.head_request = request_->head->method == "HEAD";
  form.request_id = request_->id;
  form.sticky_cookie = sticky_cookie_;
  form.hsts = request_->hsts;
  AnswerCoding coding(worker_);
  auto to_visitor = framing;
  if (request_->rules) to_visitor = coding.begin(*request_, answer_, framing, piece);
  visitor_->begin_answer(answer_, to_visitor, form);
  answer_begun_ = true;
  using Then = rules::Encoder::Then;
  bool head_sent = false;
  for (;;) {
    if (piece.end == End::none || piece.end == End::complete) {
      const bool last = piece.end == End::complete;
      auto bytes = piece.bytes;
      if (coding.on()) {
        // What is there is not held back while the application says nothing more.
        const bool pauses = !piece.bytes.empty() && !body.has_more();
        const auto made = coding.encode(piece.bytes, last     ? Then::end
                                                     : pauses ? Then::flush
                                                              : Then::more);
        if (!made) {
          fail(Step::cut, "the answer could not be compressed");
          visitor_->break_off();
          body.abandon();
          co_return;
        }
        bytes = *made;
      }
      // What they say of the content (a digest) would not hold of what was made of it.
      const auto* trailers = last && !coding.on() ? body.trailers() : nullptr;
      if (trailers != nullptr) visitor_->trail(*trailers);
      // The encoder keeps some pieces for a while.
      bool sent = head_sent && bytes.empty() && !last;
      if (!sent) sent = co_await visitor_->send(bytes, last);
      head_sent = true;
      if (!sent) {
        fail(Step::client_gone, visitor_->late() ? "the client took no byte for too long" : "");
        visitor_->break_off();
        body.abandon();
        co_return;
      }
    }
    if (piece.end != End::none) break;
    piece = co_await body.next(worker_.limits().answer_time);
  }
  if (piece.end == End::complete) {
    fail(Step::answered);
    co_return;
  }
  if (visitor_->left()) {
    fail(Step::client_gone);
    visitor_->break_off();
    co_return;
  }
  fail(Step::cut, piece.end == End::malformed ? body.malformed()
                  : piece.end == End::expired ? "the application stopped in its answer"
                                              : "the application broke off its answer");
  if (!worker_.cutting()) worker_.count().truncated.add();
  visitor_->break_off();
}

}  // namespace karreg::proxy
