#include "reverse-proxy/session.hpp"

#include <fmt/format.h>

#include "common/log.hpp"
#include "common/text.hpp"

namespace karreg::proxy {

using std::chrono::steady_clock;

namespace {
/// For a connection that has not said anything when the worker begins to drain.
constexpr Limits::ms fresh_time{1'000};

/// All 16 digits of @p number.
void append_hex(std::string& out, std::uint64_t number) {
  for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[(number >> shift) & 0xf];
}

}  // namespace

Session::Session(Worker& worker, Accepted connection)
    : worker_(worker),
      client_(worker.loop(), connection.fd, worker.buffers(), worker.swept()),
      client_address_(std::move(connection.client)),
      door_(*connection.door) {
  worker_.sessions_.insert(this);
  worker_.count().connections_open.add();
}

Session::~Session() {
  worker_.sessions_.erase(this);
  worker_.count().connections_open.subtract();
  worker_.count().bytes_in.add(client_.read_bytes());
  worker_.count().bytes_out.add(client_.written_bytes());
  worker_.buffers().take_back(in_);
  end_turn();
}

void Session::end_turn() {
  if (!turn_) return;
  turn_->exchange.release();
  worker_.take_back(std::move(turn_));
}

void Session::drain() {
  if (!idle_) return;
  if (served_any_)
    client_.cancel();
  else
    client_.extend_read(client_.now() + fresh_time);
}

Task<bool> Session::begin() {
  if (!door_.tls) co_return true;
  using Status = tls::Stream::Status;
  const auto status =
      co_await client_.secure(worker_.tls(), client_.now() + worker_.limits().header_time);
  if (status == Status::done) {
    worker_.count().handshakes.add();
    co_return true;
  }
  worker_.count().handshake_failures.add();
  if (status == Status::plain_http) {
    begin_record();
    (void)co_await answer(speaks_https(), false, "HTTP without TLS at the port for https");
    co_await close_gently();
  }
  co_return false;
}

Task<void> Session::run() {
  const bool begun = co_await begin();
  if (!begun) co_return;
  for (;;) {
    if (in_.empty()) {
      const bool comes = co_await wait_for_request();
      if (!comes) co_return;
    }
    const auto head = co_await read_head();
    if (head == HeadResult::gone) co_return;
    if (head == HeadResult::refused) break;
    const bool go_on = co_await serve_request();
    if (!go_on) break;
    in_.erase(0, std::min(consumed_, in_.size()));
    served_any_ = true;
    if (in_.empty()) {
      worker_.buffers().take_back(in_);
      end_turn();
    }
  }
  co_await close_gently();
}

Task<bool> Session::wait_for_request() {
  // A request that is already there is served, also while draining.
  if (worker_.draining() && served_any_) co_return client_.has_bytes();
  idle_ = true;
  const auto& limits = worker_.limits();
  const auto patience = worker_.draining() ? fresh_time
                        : served_any_      ? limits.idle_time
                                           : limits.header_time;
  const auto by = client_.now() + patience;
  const auto read = co_await client_.read_some(in_, by);
  idle_ = false;
  if (!read.error) co_return read.ok();
  co_return worker_.draining() && client_.has_bytes();
}

void Session::begin_record() {
  if (!turn_) turn_ = worker_.lend_turn();
  // Its texts keep their memory.
  Request fresh;
  for (auto text : {&Request::id, &Request::app, &Request::instance, &Request::error}) {
    (fresh.*text).swap(turn_->request.*text);
    (fresh.*text).clear();
  }
  turn_->request = std::move(fresh);
  recorded_ = false;
  turn_->request.begun_at = std::chrono::system_clock::now();
  turn_->request.begun = steady_clock::now();
  turn_->request.read_before = client_.read_bytes() - in_.size();
  turn_->request.written_before = client_.written_bytes();
  append_hex(turn_->request.id, worker_.chance());
  append_hex(turn_->request.id, worker_.chance());
}

Task<Session::HeadResult> Session::read_head() {
  begin_record();
  const auto& limits = worker_.limits();
  const auto by = turn_->request.begun + limits.header_time;
  std::size_t seen = 0;
  std::optional<http1::Refusal> refusal;
  while (!refusal) {
    // RFC 9112 §2.2: an empty line before a request is passed over.
    while (in_.view().starts_with("\r\n")) {
      in_.erase(0, 2);
      seen = 0;
    }
    const auto found = http1::find_head_end(in_.view(), seen);
    refusal = found.refusal;
    if (refusal) break;
    if (found.end) {
      turn_->request.head_bytes = *found.end;
      refusal = http1::parse_request(in_.view().substr(0, *found.end), limits.head, turn_->head);
      if (!refusal) {
        turn_->request.head = &turn_->head;
        co_return HeadResult::ready;
      }
      break;
    }
    seen = in_.size();
    if (seen > limits.head.bytes) {
      refusal = http1::Refusal{431, "the request's header is too large"};
      break;
    }
    const auto read = co_await client_.read_some(in_, by);
    if (read.ok()) continue;
    if (in_.empty()) co_return HeadResult::gone;
    if (!client_.expired()) {
      worker_.count().client_left.add();
      co_return HeadResult::gone;
    }
    (void)co_await answer(client_late(), false, "the header came too slowly");
    co_return HeadResult::refused;
  }
  worker_.count().malformed.add();
  (void)co_await answer(refused(*refusal), false, refusal->why);
  co_return HeadResult::refused;
}

Task<bool> Session::serve_request() {
  // A request that the end of the drain cuts leaves by an exception, and has its line, too.
  struct Record {
    explicit Record(Session& s) : session(s) {}
    ~Record() { session.finish_record(); }
    Record(const Record&) = delete;
    Record& operator=(const Record&) = delete;
    Session& session;
  };
  const Record record(*this);
  const auto& options = worker_.options();
  consumed_ = turn_->request.head_bytes;
  if (options.trust_forwarded) {
    if (const auto id = http1::acceptable_request_id(turn_->head)) turn_->request.id = *id;
  }
  auto refusal = http1::read_target(turn_->head, turn_->target);
  if (!refusal) {
    const auto framing = http1::request_framing(turn_->head);
    if (const auto* unclear = std::get_if<http1::Refusal>(&framing))
      refusal = *unclear;
    else
      turn_->request.framing = std::get<http1::Framing>(framing);
  }
  if (!refusal && turn_->head.method == "TRACE")
    refusal = http1::Refusal{405, "TRACE is not offered here"};
  if (refusal) {
    worker_.count().malformed.add();
    co_return co_await answer(refused(*refusal), false, refusal->why);
  }
  turn_->request.target = &turn_->target;
  const bool no_body = turn_->request.framing.kind == http1::BodyKind::none;
  if (auto own = own_answer())
    co_return co_await answer(std::move(own->answer), no_body, own->error);
  auto outcome = co_await turn_->exchange.run(turn_->request, client_, in_);
  bool go_on = outcome.keep;
  consumed_ = outcome.consumed;
  if (outcome.answer) {
    const std::string error = turn_->request.error;
    go_on = co_await answer(std::move(*outcome.answer), outcome.body_read, error);
  }
  co_return go_on;
}

// No coroutine: its frame would hold the table for as long as the exchange lasts, an hour for some.
std::optional<Session::OwnAnswer> Session::own_answer() {
  const auto& options = worker_.options();
  const auto& routes = worker_.routes();
  if (!routes) return OwnAnswer{no_routes_yet(), "no table of routes yet"};
  const auto* route = routes->find(turn_->target.host, turn_->target.path);
  if (route == nullptr) {
    worker_.count().unknown_host.add();
    return OwnAnswer{unknown_host(turn_->target.host), "unknown host"};
  }
  turn_->request.by = {.client_address = client_address_,
                       .scheme = door_.tls ? "https" : "http",
                       .port = door_.port,
                       .request_id = turn_->request.id,
                       .trust_client = options.trust_forwarded};
  const bool came_by_https =
      door_.tls || (options.trust_forwarded &&
                    text::iequals(turn_->head.find("x-forwarded-proto").value_or(""), "https"));
  turn_->request.hsts = route->force_https && came_by_https;
  if (!route->force_https || worker_.https_port() == 0 || came_by_https) return std::nullopt;
  const bool safe = turn_->head.method == "GET" || turn_->head.method == "HEAD";
  const auto port =
      worker_.https_port() == 443 ? std::string() : fmt::format(":{}", worker_.https_port());
  return OwnAnswer{use_https(
      fmt::format("https://{}{}{}", turn_->target.host, port, turn_->target.forward), safe)};
}

Task<bool> Session::answer(Answer answer, bool body_read, std::string_view error) {
  AnswerDelivery delivery;
  const bool parsed = turn_->request.head != nullptr;
  if (parsed) {
    delivery.format = format_for(turn_->head.find("accept").value_or(""));
    delivery.keep_alive = body_read && turn_->head.persistent() && !worker_.draining();
    delivery.head_request = turn_->head.method == "HEAD";
    delivery.client_minor_version = turn_->head.minor_version;
  }
  delivery.request_id = turn_->request.id;
  turn_->request.status = answer.status;
  if (turn_->request.error.empty()) turn_->request.error = error;
  const auto text = render(answer, delivery);
  const auto ec = co_await client_.write(text, client_.now() + worker_.limits().client_time);
  turn_->request.answered = !ec;
  finish_record();
  co_return delivery.keep_alive && !ec;
}

void Session::finish_record() {
  if (std::exchange(recorded_, true)) return;
  if (!turn_->request.answered && worker_.cutting()) {
    worker_.count().cut.add();
    turn_->request.error = "cut: the proxy stopped";
    // The client has not left, as far as anybody knows.
    if (turn_->request.status == 499) turn_->request.status = 0;
  }
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() -
                                                                          turn_->request.begun);
  worker_.count().answered(turn_->request.status, took);
  if (turn_->request.status == 499) worker_.count().client_left.add();
  if (!worker_.access_log().enabled()) return;
  AccessRecord record;
  record.begun = turn_->request.begun_at;
  record.took = took;
  if (turn_->request.first_byte != SteadyTime{})
    record.to_first_byte = std::chrono::duration_cast<std::chrono::microseconds>(
        turn_->request.first_byte - turn_->request.begun);
  record.request_id = turn_->request.id;
  record.tls = door_.tls;
  record.client = client_address_;
  if (turn_->request.head != nullptr) {
    record.method = turn_->head.method;
    record.target = turn_->head.target;
    record.user_agent = turn_->head.find("user-agent").value_or("");
  }
  if (turn_->request.target != nullptr) record.host = turn_->target.host;
  record.app = turn_->request.app;
  record.instance = turn_->request.instance;
  record.status = turn_->request.status;
  record.attempts = turn_->request.attempts;
  record.bytes_in = client_.read_bytes() - turn_->request.read_before;
  record.bytes_out = client_.written_bytes() - turn_->request.written_before;
  record.error = turn_->request.error;
  worker_.access_log().write(record);
}

Task<void> Session::close_gently() {
  if (!client_.is_open()) co_return;
  client_.shutdown_send();
  co_await worker_.linger(client_, in_, client_.now() + worker_.limits().linger_time);
  client_.close();
}

}  // namespace karreg::proxy
