#include "reverse-proxy/exchange.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/text.hpp"
#include "reverse-proxy/answer_coding.hpp"
#include "reverse-proxy/balance.hpp"
#include "reverse-proxy/http1/chunk_frame.hpp"
#include "reverse-proxy/tunnel.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

using http1::BodyKind;

namespace {

/// Informational answers before the final one.
constexpr int max_informational = 16;

/// Ends the watch for a leaving client whatever happens.
class Watch {
 public:
  explicit Watch(Visitor& visitor) : visitor_(visitor) {}
  ~Watch() { visitor_.watch_for_leaving(nullptr); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  Visitor& visitor_;
};

}  // namespace

SteadyTime Exchange::now() const {
  return worker_.loop().now();
}

void Exchange::release() {
  at_ = {};
  worker_.buffers().take_back(up_in_);
}

void Exchange::begin(Request& request, Visitor& visitor) {
  request_ = &request;
  visitor_ = &visitor;
  tried_.clear();
  sticky_cookie_.clear();
  websocket_ = http1::wants_websocket(*request.head, request.framing);
  whole_body_ = false;
  step_.reset();
  repeats_ = false;
  send_proxy_ = request.rules ? request.rules->send_proxy() : 0;
  request.by.last = send_proxy_ != 0;
}

std::optional<Answer> Exchange::end(std::optional<Answer> answer) {
  at_ = {};
  return answer;
}

Task<std::optional<Answer>> Exchange::run(Request& request, Visitor& visitor) {
  begin(request, visitor);
  const auto& limits = worker_.limits();
  const auto& framing = request.framing;
  if (framing.kind == BodyKind::length && framing.length <= limits.whole_body_bytes &&
      !request.head->known.expect_continue) {
    whole_body_ = co_await visitor.take_in();
    if (!whole_body_ && !visitor.malformed().empty()) {
      why_ = visitor.malformed();
      co_return end(answer_for(Step::bad_body));
    }
    if (!whole_body_) {
      const bool late = visitor.late();
      request.error = late ? "the client's body came too slowly" : "the client left";
      if (!late) request.status = 499;
      co_return end(late ? std::optional(client_late()) : std::nullopt);
    }
  }
  // What cannot be sent twice must not meet a connection that the backend is about to close.
  const bool idempotent = is_idempotent(request.head->method);
  const auto kept = !idempotent || (has_body() && !whole_body_) ? UpstreamPool::For::once
                                                                : UpstreamPool::For::repeatable;
  // A connection that begins with one visitor is of no use to another, and seldom to him again.
  bool fresh_only = send_proxy_ != 0;
  for (;;) {
    // He may have left while there was nothing to cancel.
    if (visitor.left()) {
      request.status = 499;
      request.error = "the client left";
      co_return end(std::nullopt);
    }
    const auto picked = pick();
    if (picked == Picked::over_budget) {
      worker_.count().retries_refused.add();
      request.error = "the connection ended without an answer, and too many requests are repeated";
      co_return end(answer_for(Step::no_answer));
    }
    if (++request.attempts > 1) worker_.count().retries.add();
    if (picked == Picked::no_route) co_return end(unknown_host(request.target->host));
    if (picked == Picked::nothing_serves) {
      worker_.count().no_backend.add();
      co_return end(nothing_serves(request.target->host));
    }
    if (picked == Picked::app_busy) {
      worker_.count().app_refused.add();
      request.error = "the application has too many requests in hand";
      co_return end(app_busy(request.target->host));
    }
    if (picked == Picked::instances_full) {
      worker_.count().by_rules.add();
      request.error = "rule: in_hand.instance";
      co_return end(rules::instances_full());
    }
    if (picked == Picked::all_failed) {
      if (request.attempts >= limits.attempts) co_return end(answer_for(Step::no_answer));
      // A backend may be back, or replaced by another one, in a moment.
      tried_.clear();
      co_await worker_.loop().sleep_for(std::chrono::milliseconds(50 * request.attempts));
      continue;
    }
    auto up = fresh_only ? nullptr : take_kept(kept);
    reused_ = up != nullptr;
    if (!up) up = co_await connect();
    if (!up)
      step_ = Step::no_answer;
    else if (visitor.left())
      step_ = Step::client_gone;
    else
      co_await attempt(*up);
    KARREG_INVARIANT(step_.has_value());
    if (step_ == Step::answered) {
      request.answered = true;
      request.error.clear();
      if (connection_reusable_ && !up_broken_ && send_proxy_ == 0)
        worker_.pool().put(at_.shared(), std::move(up), now(), reused_);
      co_return end(std::nullopt);
    }
    // No instance, and no client, is to blame for what the proxy ends.
    if (worker_.cutting()) co_return end(std::nullopt);
    if (step_ == Step::cut || step_ == Step::client_gone) {
      if (step_ == Step::client_gone) request.status = 499;
      request.error = !why_.empty() ? why_ : "the client left";
      co_return end(std::nullopt);
    }
    const bool sent = up != nullptr;
    const bool retry = *step_ == Step::no_answer &&
                       may_retry(sent, idempotent, !has_body() || whole_body_ || !sent,
                                 request.attempts, limits.attempts);
    // What a kept connection has lost, its end has crossed: nobody had work with it.
    const bool stale = sent && reused_ && step_ == Step::no_answer;
    if (stale) {
      worker_.count().stale.add();
      fresh_only = true;
    } else if (step_ == Step::no_answer) {
      if (!own_fault_) failed(Backend::Failure::no_answer);
      tried_.push_back(&*at_);
    } else if (step_ == Step::late || step_ == Step::nonsense) {
      failed(Backend::Failure::bad_answer);
    }
    if (!retry) co_return end(answer_for(*step_));
    repeats_ = repeats_ || (sent && !stale);
    at_ = {};
  }
}

std::unique_ptr<Connection> Exchange::take_kept(UpstreamPool::For request) {
  auto kept = worker_.pool().take(*at_, now(), request);
  if (kept) worker_.count().backend_reuses.add();
  return kept;
}

Task<std::unique_ptr<Connection>> Exchange::connect() {
  worker_.count().backend_connects.add();
  auto fresh = co_await Connection::connect(worker_.loop(), at_->endpoint, worker_.buffers(),
                                            worker_.swept(), now() + worker_.limits().connect_time);
  own_fault_ = fresh.own_fault;
  if (fresh.connection && send_proxy_ != 0) {
    fresh.why = co_await introduce(*fresh.connection);
    if (!fresh.why.empty()) fresh.connection.reset();
  }
  if (fresh.connection) co_return std::move(fresh.connection);
  worker_.count().backend_connect_failures.add();
  request_->error = "cannot connect to " + at_->address + ": " + fresh.why;
  co_return nullptr;
}

Task<std::string> Exchange::introduce(Connection& fresh) {
  const auto& visitor = visitor_->connection();
  ProxyExtras extras;
  if (const auto* tls = visitor.tls()) extras.authority = tls->server_name();
  extras.unique_id = request_->id;
  request_text_.clear();
  append_proxy_header(request_text_, send_proxy_, visitor.ends(), extras);
  const auto ec = co_await fresh.write(request_text_, now() + worker_.limits().connect_time);
  if (!ec) co_return std::string();
  co_return fresh.expired() ? "timed out" : ec.message();
}

void Exchange::failed(Backend::Failure failure) {
  if (at_->failed(failure, now(), worker_.limits().aside)) worker_.count().set_aside.add();
}

void Exchange::fail(Step step, std::string_view why) {
  if (step_) return;
  step_ = step;
  why_ = why;
}

Task<void> Exchange::attempt(Connection& up) {
  up_in_.clear();
  step_.reset();
  why_ = {};
  connection_reusable_ = false;
  up_broken_ = false;
  upload_ended_ = false;
  answer_begun_ = false;
  request_text_.clear();
  http1::append_request(request_text_, *request_->head, *request_->target, request_->framing,
                        request_->by, websocket_);
  const Watch watch(*visitor_);
  visitor_->watch_for_leaving(&up);
  if (has_body() && !whole_body_) {
    uploading_ = true;
    co_await Both(upload(up), receive(up));
  } else {
    uploading_ = false;
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
  const auto most = request_->rules ? request_->rules->max_body() : std::nullopt;
  std::uint64_t passed = 0;
  while (!ec && !upload_ended_ && !visitor_->body_complete()) {
    const auto piece = co_await visitor_->next_piece();
    if (upload_ended_) break;
    passed += piece.bytes.size();
    if (most && passed > *most) {
      fail(answer_begun_ ? Step::cut : Step::body_large, "rule: max_body_bytes");
      up.reset();
      break;
    }
    const bool broken =
        piece.end != BodyReader::End::none && piece.end != BodyReader::End::complete;
    if (broken) {
      // After the answer has begun there is no other way to say so than to break it off.
      if (piece.end == BodyReader::End::closed) fail(Step::client_gone);
      if (piece.end == BodyReader::End::expired)
        fail(answer_begun_ ? Step::cut : Step::client_slow, "the client's body came too slowly");
      if (piece.end == BodyReader::End::malformed)
        fail(answer_begun_ ? Step::cut : Step::bad_body, visitor_->malformed());
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
  if (read) {
    if (answer_.status == 101)
      co_await tunnel(up);
    else
      co_await relay_answer(up);
  }
  end_upload(up);
}

Task<bool> Exchange::read_final_head(Connection& up) {
  for (int informational = 0;; ++informational) {
    const bool read = co_await read_head(up);
    if (!read) {
      if (informational > 0 && step_ == Step::no_answer) {
        step_ = Step::nonsense;
        why_ = "it ended after an informational answer";
      }
      co_return false;
    }
    if (request_->first_byte == SteadyTime{})
      request_->first_byte = std::chrono::steady_clock::now();
    if (answer_.status >= 200 || answer_.status == 101) {
      const auto why = objection();
      if (!why.empty()) fail(Step::nonsense, why);
      co_return why.empty();
    }
    if (informational == max_informational) {
      fail(Step::nonsense, "it sends informational answers without end");
      co_return false;
    }
    const bool told = co_await visitor_->inform(answer_);
    if (!told) {
      fail(Step::client_gone);
      co_return false;
    }
    up_in_.erase(0, answer_head_bytes_);
  }
}

std::string_view Exchange::objection() const {
  if (answer_.status == 101 && !(websocket_ && text::iequals(answer_.known.upgrade, "websocket")))
    return "it switches to a protocol that was not asked for";
  return websocket_ ? visitor_->objection(answer_) : std::string_view();
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

Task<void> Exchange::relay_answer(Connection& up) {
  // The client's body was refused while this head was on its way: that is the answer.
  if (step_) co_return;
  const bool head_request = request_->head->method == "HEAD";
  const auto framed = http1::response_framing(answer_, head_request);
  if (const auto* refusal = std::get_if<http1::Refusal>(&framed)) {
    fail(Step::nonsense, refusal->why);
    co_return;
  }
  const auto& framing = std::get<http1::Framing>(framed);
  BodyReader body(up, up_in_, answer_head_bytes_, framing);
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
  form.head_request = head_request;
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
        const bool pauses = !piece.bytes.empty() && !up.has_bytes();
        const auto made = coding.encode(piece.bytes, last     ? Then::end
                                                     : pauses ? Then::flush
                                                              : Then::more);
        if (!made) {
          fail(Step::cut, "the answer could not be compressed");
          visitor_->break_off();
          up.close();
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
        up.close();
        co_return;
      }
    }
    if (piece.end != End::none) break;
    piece = co_await body.next(worker_.limits().answer_time);
  }
  if (piece.end == End::complete) {
    body.finish();
    connection_reusable_ = answer_.persistent() && framing.kind != BodyKind::until_close &&
                           up_in_.size() == answer_head_bytes_;
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

Task<void> Exchange::tunnel(Connection& up) {
  if (step_) co_return;
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

Answer Exchange::answer_for(Step step) const {
  const auto& host = request_->target->host;
  auto& count = worker_.count();
  switch (step) {
    case Step::bad_body:
      count.malformed.add();
      return refused({400, why_});
    case Step::body_large:
      request_->error = why_;
      return rules::body_too_large(request_->rules->max_body().value_or(0));
    case Step::client_slow:
      return client_late();
    case Step::late:
      count.backend_timeouts.add();
      request_->error = "no answer in time";
      return backend_late(
          host,
          std::chrono::duration_cast<std::chrono::seconds>(worker_.limits().answer_time).count());
    case Step::nonsense:
      count.backend_failures.add();
      request_->error = why_;
      return backend_nonsense(host, why_);
    case Step::no_answer:
    case Step::answered:
    case Step::cut:
    case Step::client_gone:
      break;
  }
  count.backend_failures.add();
  if (request_->error.empty()) request_->error = "the connection ended without an answer";
  return backend_gone(host);
}

}  // namespace karreg::proxy
