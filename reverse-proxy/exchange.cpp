#include "reverse-proxy/exchange.hpp"

#include <algorithm>

#include "common/text.hpp"
#include "reverse-proxy/balance.hpp"
#include "reverse-proxy/instance_link.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

using http1::BodyKind;

namespace {

/// Informational answers before the final one.
constexpr int max_informational = 16;

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
  replayable_ = true;
  taken_.clear();
  speech_ = request.rules ? request.rules->speech().get() : nullptr;
  step_.reset();
  repeats_ = false;
  send_proxy_ = request.rules ? request.rules->send_proxy() : 0;
  request.by.last = send_proxy_ != 0;
  hold_until_ = {};
}

std::optional<Answer> Exchange::end(std::optional<Answer> answer) {
  at_ = {};
  place_.leave();
  return answer;
}

Task<std::optional<Answer>> Exchange::run(Request& request, Visitor& visitor) {
  begin(request, visitor);
  const bool by_http2 = speech_ != nullptr && speech_->http2();
  if (by_http2 && websocket_) co_return end(no_websocket(request.target->host));
  if (request.asleep) {
    // Before its body, which nobody could take yet.
    auto over = co_await hold();
    if (over) co_return end(std::move(over->answer));
  }
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
    if (picked == Picked::asleep) {
      auto over = co_await hold();
      if (over) co_return end(std::move(over->answer));
      continue;
    }
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
      if (request.attempts >= limits.attempts)
        co_return end(answer_for(step_.value_or(Step::no_answer)));
      // A backend may be back, or replaced by another one, in a moment.
      tried_.clear();
      co_await worker_.loop().sleep_for(std::chrono::milliseconds(50 * request.attempts));
      continue;
    }
    std::unique_ptr<Connection> up;
    refused_ = again_here_ = reset_ = false;
    bool sent = false;
    if (by_http2) {
      sent = co_await ask_by_http2(kept == UpstreamPool::For::once);
    } else {
      if (!fresh_only) up = take_kept(kept);
      reused_ = up != nullptr;
      if (!up) up = co_await connect();
      sent = up != nullptr;
      if (up && visitor.left())
        step_ = Step::client_gone;
      else if (up)
        co_await attempt(*up);
    }
    KARREG_INVARIANT(step_.has_value());
    if (step_ == Step::answered) {
      request.answered = true;
      request.error.clear();
      if (connection_reusable_ && !up_broken_ && send_proxy_ == 0)
        kept_connections().put(at_.shared(), std::move(up), now(), reused_);
      co_return end(std::nullopt);
    }
    // No instance, and no client, is to blame for what the proxy ends.
    if (worker_.cutting()) co_return end(std::nullopt);
    if (step_ == Step::cut || step_ == Step::client_gone) {
      if (step_ == Step::client_gone) request.status = 499;
      request.error = !why_.empty() ? why_ : "the client left";
      co_return end(std::nullopt);
    }
    const bool nothing_came =
        step_ == Step::no_answer || step_ == Step::unfit || step_ == Step::full;
    const bool retry =
        nothing_came && may_retry(sent, idempotent, !has_body() || whole_body_ || replayable_,
                                  request.attempts, limits.attempts);
    // What a kept connection has lost, its end has crossed: nobody had work with it. Once; and what
    // an instance resets, it has looked at.
    const bool stale = sent && reused_ && step_ == Step::no_answer && !fresh_only && !reset_;
    if (stale) {
      worker_.count().stale.add();
      fresh_only = true;
    } else if (nothing_came) {
      if (!own_fault_ && !refused_ && step_ != Step::full) failed(Backend::Failure::no_answer);
      if (!again_here_) tried_.push_back(&*at_);
    } else if (step_ == Step::late || step_ == Step::nonsense) {
      failed(Backend::Failure::bad_answer);
    }
    if (!retry) co_return end(answer_for(*step_));
    repeats_ = repeats_ || (sent && !stale);
    at_ = {};
  }
}

UpstreamPool& Exchange::kept_connections() {
  if (speech_ == nullptr) return worker_.pool();
  return worker_.secure_pool(request_->rules->speech(), speech_->name_for(request_->target->host));
}

Task<std::optional<Exchange::Over>> Exchange::hold() {
  using Answered = std::optional<Over>;
  auto& request = *request_;
  const auto& limits = worker_.limits();
  for (;;) {
    const auto* asleep = route();
    if (asleep == nullptr || !sleeps(*asleep)) co_return std::nullopt;
    request.app = asleep->app_id;
    place_.leave();
    if (hold_until_ == SteadyTime{}) hold_until_ = now() + limits.hold_time;
    const auto ended = co_await worker_.holding().wait({request.app, *request.target, *visitor_},
                                                       hold_until_, place_);
    if (worker_.cutting()) co_return Answered(Over{});
    switch (ended) {
      case Holding::End::let_go:
        break;
      case Holding::End::left:
        request.status = 499;
        request.error = "the client left";
        co_return Answered(Over{});
      case Holding::End::late:
        request.error = "the application did not wake in time";
        co_return Answered(Over{does_not_wake(
            request.target->host,
            std::chrono::duration_cast<std::chrono::seconds>(limits.hold_time).count())});
      case Holding::End::full:
        request.error = "too many requests wait for the application to wake";
        co_return Answered(Over{too_many_wait(request.target->host)});
    }
  }
}

std::unique_ptr<Connection> Exchange::take_kept(UpstreamPool::For request) {
  auto kept = kept_connections().take(*at_, now(), request);
  if (kept) worker_.count().backend_reuses.add();
  return kept;
}

Task<std::unique_ptr<Connection>> Exchange::connect() {
  const auto& host = request_->target->host;
  auto fresh = co_await link_to(
      worker_, *at_, speech_, speech_ == nullptr ? host : speech_->name_for(host), introduction());
  if (fresh.connection) co_return std::move(fresh.connection);
  own_fault_ = fresh.own_fault;
  not_connected(fresh.unfit ? Step::unfit : Step::no_answer, fresh.why);
  co_return nullptr;
}

std::string_view Exchange::introduction() {
  if (send_proxy_ == 0) return {};
  const auto& visitor = visitor_->connection();
  ProxyExtras extras;
  if (const auto* tls = visitor.tls()) extras.authority = tls->server_name();
  extras.unique_id = request_->id;
  request_text_.clear();
  append_proxy_header(request_text_, send_proxy_, visitor.ends(), extras);
  return request_text_;
}

void Exchange::failed(Backend::Failure failure) {
  if (at_->failed(failure, now(), worker_.limits().aside)) worker_.count().set_aside.add();
}

void Exchange::not_connected(Step step, const std::string& why) {
  step_ = step;
  unfit_why_ = why;
  request_->error = "cannot connect to " + at_->address + ": " + why;
}

void Exchange::begin_attempt() {
  step_.reset();
  why_ = {};
  own_fault_ = false;
  again_here_ = false;
  connection_reusable_ = false;
  up_broken_ = false;
  upload_ended_ = false;
  uploading_ = false;
  answer_begun_ = false;
}

void Exchange::fail(Step step, std::string_view why) {
  if (step_) return;
  step_ = step;
  why_ = why;
}

std::string_view Exchange::objection() const {
  if (answer_.status == 101 && !(websocket_ && text::iequals(answer_.known.upgrade, "websocket")))
    return "it switches to a protocol that was not asked for";
  return websocket_ ? visitor_->objection(answer_) : std::string_view();
}

std::optional<bool> Exchange::judge_head(int informational) {
  if (request_->first_byte == SteadyTime{}) request_->first_byte = std::chrono::steady_clock::now();
  if (answer_.status >= 200 || answer_.status == 101) {
    place_.leave();
    const auto why = objection();
    if (!why.empty()) fail(Step::nonsense, why);
    return why.empty();
  }
  if (informational < max_informational) return std::nullopt;
  fail(Step::nonsense, "it sends informational answers without end");
  return false;
}

void Exchange::ended_after_informational() {
  if (step_ != Step::no_answer) return;
  step_ = Step::nonsense;
  why_ = "it ended after an informational answer";
}

std::optional<http1::Framing> Exchange::answer_framing() {
  const auto framed = http1::response_framing(answer_, request_->head->method == "HEAD");
  const auto* refusal = std::get_if<http1::Refusal>(&framed);
  if (refusal == nullptr) return std::get<http1::Framing>(framed);
  fail(Step::nonsense, refusal->why);
  return std::nullopt;
}

bool Exchange::may_pass(const BodyReader::Piece& piece, std::uint64_t passed) {
  using End = BodyReader::End;
  const auto most = request_->rules ? request_->rules->max_body() : std::nullopt;
  // After the answer has begun there is no other way to say so than to break it off.
  if (most && passed > *most) {
    fail(answer_begun_ ? Step::cut : Step::body_large, "rule: max_body_bytes");
    return false;
  }
  if (piece.end == End::none || piece.end == End::complete) return true;
  if (piece.end == End::closed) fail(Step::client_gone);
  if (piece.end == End::expired)
    fail(answer_begun_ ? Step::cut : Step::client_slow, "the client's body came too slowly");
  if (piece.end == End::malformed)
    fail(answer_begun_ ? Step::cut : Step::bad_body, visitor_->malformed());
  return false;
}

template <class Up>
Task<bool> Exchange::read_final_head(Up& up) {
  for (int informational = 0;; ++informational) {
    const bool read = co_await read_head(up);
    if (!read) {
      if (informational > 0) ended_after_informational();
      co_return false;
    }
    if (const auto fit = judge_head(informational)) co_return *fit;
    const bool told = co_await visitor_->inform(answer_);
    if (!told) {
      fail(Step::client_gone);
      co_return false;
    }
    drop_head(up);
  }
}

template Task<bool> Exchange::read_final_head(Connection& up);
template Task<bool> Exchange::read_final_head(http2::ClientStream& up);

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
    case Step::full:
      count.app_refused.add();
      return backend_full(host);
    case Step::unfit:
      count.backend_failures.add();
      return backend_unfit(host, unfit_why_);
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
