// An attempt at an instance that speaks HTTP/1.1.
#include "common/text.hpp"
#include "reverse-proxy/exchange.hpp"
#include "reverse-proxy/http1/chunk_frame.hpp"
#include "reverse-proxy/tunnel.hpp"
#include "reverse-proxy/watch.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

using http1::BodyKind;

Task<void> Exchange::attempt(Connection& up) {
  begin_attempt();
  up_in_.clear();
  request_text_.clear();
  http1::append_request(request_text_, *request_->head, *request_->target, request_->framing,
                        request_->by, websocket_);
  const Watch watch(*visitor_);
  visitor_->watch_for_leaving(&up);
  if (has_body() && !whole_body_) {
    uploading_ = true;
    co_await Both(upload(up), receive(up));
  } else {
    const auto body = whole_body_ ? visitor_->taken_in() : std::string_view{};
    const auto ec =
        co_await up.write(Pieces{request_text_, body}, now() + worker_.limits().answer_time);
    // After other errors there may still be an answer that was sent before the end.
    if (ec && up.expired()) {
      fail(Step::late);
      co_return;
    }
    visitor_->watch_for_leaving(&up);
    if (visitor_->left())
      fail(Step::client_gone);
    else
      co_await receive(up);
  }
}

Task<void> Exchange::upload(Connection& up) {
  const auto& limits = worker_.limits();
  auto ec = co_await up.write(request_text_, now() + limits.answer_time);
  std::uint64_t passed = 0;
  while (!ec && !upload_ended_ && !visitor_->body_complete()) {
    replayable_ = false;
    const auto piece = co_await visitor_->next_piece();
    if (upload_ended_) break;
    passed += piece.bytes.size();
    if (!may_pass(piece, passed)) {
      // The backend sees a broken request, never one that looks complete.
      up.reset();
      break;
    }
    const bool last = piece.end == BodyReader::End::complete;
    const http1::ChunkFrame frame(piece.bytes, last, request_->framing.kind,
                                  last ? visitor_->trailers() : nullptr);
    // The backend's time for its answer begins anew with each piece of the question.
    const auto by = now() + limits.answer_time;
    up.extend_read(by);
    ec = co_await up.write(
        Pieces{frame.before(), {piece.bytes.data(), piece.bytes.size()}, frame.after()}, by);
  }
  uploading_ = false;
  // Half a body stands on that connection.
  if (ec) up_broken_ = true;
  if (!visitor_->body_complete() || upload_ended_) co_return;
  visitor_->watch_for_leaving(&up);
  if (!visitor_->left()) co_return;
  fail(Step::client_gone);
  up.reset();
}

void Exchange::end_upload(Connection& up) {
  if (!uploading_) return;
  upload_ended_ = true;
  connection_reusable_ = false;
  up.cancel();
  visitor_->stop_body();
}

Task<void> Exchange::receive(Connection& up) {
  const bool read = co_await read_final_head(up);
  // The client's body may have been refused while that head was on its way: that is the answer.
  if (read && !step_ && answer_.status == 101) {
    co_await tunnel(up);
  } else if (const auto framing = read && !step_ ? answer_framing() : std::nullopt) {
    BodyReader body(up, up_in_, answer_head_bytes_, *framing);
    co_await relay_answer(AnswerBody(up, body), *framing);
    if (step_ == Step::answered) {
      body.finish();
      connection_reusable_ = answer_.persistent() && framing->kind != BodyKind::until_close &&
                             up_in_.size() == answer_head_bytes_;
    }
  }
  end_upload(up);
}

void Exchange::drop_head(Connection&) {
  up_in_.erase(0, answer_head_bytes_);
}

Task<bool> Exchange::read_head(Connection& up) {
  const auto& limits = worker_.limits();
  std::size_t seen = 0;
  for (;;) {
    const auto found = http1::find_head_end(up_in_.view(), seen);
    if (found.refusal) {
      fail(Step::nonsense, found.refusal->why);
      co_return false;
    }
    if (found.end) {
      answer_head_bytes_ = *found.end;
      const auto refusal =
          http1::parse_response(up_in_.view().substr(0, *found.end), limits.head, answer_);
      if (refusal) fail(Step::nonsense, refusal->why);
      co_return !refusal;
    }
    seen = up_in_.size();
    if (seen > limits.head.bytes) {
      fail(Step::nonsense, "the answer's header is too large");
      co_return false;
    }
    const auto read = co_await up.read_some(up_in_, now() + limits.answer_time);
    if (read.ok()) continue;
    if (visitor_->left())
      fail(Step::client_gone);
    else if (up.expired())
      fail(Step::late);
    else if (up_in_.empty())
      fail(Step::no_answer);
    else
      fail(Step::nonsense, "the answer ended in the middle of its header");
    co_return false;
  }
}

Task<void> Exchange::tunnel(Connection& up) {
  visitor_->watch_for_leaving(nullptr);
  at_->answered();
  request_->status = 101;
  http1::AnswerForm form{.upgrade = true};
  form.request_id = request_->id;
  form.sticky_cookie = sticky_cookie_;
  visitor_->begin_answer(answer_, {}, form);
  const bool sent = co_await visitor_->send({}, false);
  if (!sent) {
    fail(Step::client_gone);
    co_return;
  }
  struct Open {
    explicit Open(WorkerMetrics& to) : metrics(to) {
      metrics.tunnels.add();
      metrics.tunnels_open.add();
    }
    ~Open() { metrics.tunnels_open.subtract(); }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;
    WorkerMetrics& metrics;
  };
  const Open open(worker_.count());
  up_in_.erase(0, answer_head_bytes_);
  Tunnel through(worker_, *visitor_, up, up_in_);
  co_await through.run();
  fail(worker_.cutting() ? Step::cut : Step::answered);
}

}  // namespace karreg::proxy
