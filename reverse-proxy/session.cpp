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
      exchange_(worker, client_, in_),
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
  exchange_.release();
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
      exchange_.release();
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
  // Its texts keep their memory.
  Request fresh;
  for (auto text : {&Request::id, &Request::app, &Request::instance, &Request::error}) {
    (fresh.*text).swap(request_.*text);
    (fresh.*text).clear();
  }
  request_ = std::move(fresh);
  recorded_ = false;
  request_.begun_at = std::chrono::system_clock::now();
  request_.begun = steady_clock::now();
  request_.read_before = client_.read_bytes() - in_.size();
  request_.written_before = client_.written_bytes();
  append_hex(request_.id, worker_.chance());
  append_hex(request_.id, worker_.chance());
}

Task<Session::HeadResult> Session::read_head() {
  begin_record();
  const auto& limits = worker_.limits();
  const auto by = request_.begun + limits.header_time;
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
      request_.head_bytes = *found.end;
      refusal = http1::parse_request(in_.view().substr(0, *found.end), limits.head, head_);
      if (!refusal) {
        request_.head = &head_;
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
  consumed_ = request_.head_bytes;
  if (options.trust_forwarded) {
    if (const auto id = http1::acceptable_request_id(head_)) request_.id = *id;
  }
  auto refusal = http1::read_target(head_, target_);
  if (!refusal) {
    const auto framing = http1::request_framing(head_);
    if (const auto* unclear = std::get_if<http1::Refusal>(&framing))
      refusal = *unclear;
    else
      request_.framing = std::get<http1::Framing>(framing);
  }
  if (!refusal && head_.method == "TRACE")
    refusal = http1::Refusal{405, "TRACE is not offered here"};
  if (refusal) {
    worker_.count().malformed.add();
    co_return co_await answer(refused(*refusal), false, refusal->why);
  }
  request_.target = &target_;
  const bool no_body = request_.framing.kind == http1::BodyKind::none;
  if (auto own = own_answer())
    co_return co_await answer(std::move(own->answer), no_body, own->error);
  auto outcome = co_await exchange_.run(request_);
  bool go_on = outcome.keep;
  consumed_ = outcome.consumed;
  if (outcome.answer) {
    const std::string error = request_.error;
    go_on = co_await answer(std::move(*outcome.answer), outcome.body_read, error);
  }
  co_return go_on;
}

// No coroutine: its frame would hold the table for as long as the exchange lasts, an hour for some.
std::optional<Session::OwnAnswer> Session::own_answer() {
  const auto& options = worker_.options();
  const auto& routes = worker_.routes();
  if (!routes) return OwnAnswer{no_routes_yet(), "no table of routes yet"};
  const auto* route = routes->find(target_.host, target_.path);
  if (route == nullptr) {
    worker_.count().unknown_host.add();
    return OwnAnswer{unknown_host(target_.host), "unknown host"};
  }
  request_.by = {.client_address = client_address_,
                 .scheme = door_.tls ? "https" : "http",
                 .port = door_.port,
                 .request_id = request_.id,
                 .trust_client = options.trust_forwarded};
  const bool came_by_https =
      door_.tls || (options.trust_forwarded &&
                    text::iequals(head_.find("x-forwarded-proto").value_or(""), "https"));
  request_.hsts = route->force_https && came_by_https;
  if (!route->force_https || worker_.https_port() == 0 || came_by_https) return std::nullopt;
  const bool safe = head_.method == "GET" || head_.method == "HEAD";
  const auto port =
      worker_.https_port() == 443 ? std::string() : fmt::format(":{}", worker_.https_port());
  return OwnAnswer{
      use_https(fmt::format("https://{}{}{}", target_.host, port, target_.forward), safe)};
}

Task<bool> Session::answer(Answer answer, bool body_read, std::string_view error) {
  AnswerDelivery delivery;
  const bool parsed = request_.head != nullptr;
  if (parsed) {
    delivery.format = format_for(head_.find("accept").value_or(""));
    delivery.keep_alive = body_read && head_.persistent() && !worker_.draining();
    delivery.head_request = head_.method == "HEAD";
    delivery.client_minor_version = head_.minor_version;
  }
  delivery.request_id = request_.id;
  request_.status = answer.status;
  if (request_.error.empty()) request_.error = error;
  const auto text = render(answer, delivery);
  const auto ec = co_await client_.write(text, client_.now() + worker_.limits().client_time);
  request_.answered = !ec;
  finish_record();
  co_return delivery.keep_alive && !ec;
}

void Session::finish_record() {
  if (std::exchange(recorded_, true)) return;
  if (!request_.answered && worker_.cutting()) {
    worker_.count().cut.add();
    request_.error = "cut: the proxy stopped";
    // The client has not left, as far as anybody knows.
    if (request_.status == 499) request_.status = 0;
  }
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - request_.begun);
  worker_.count().answered(request_.status, took);
  if (request_.status == 499) worker_.count().client_left.add();
  if (!worker_.access_log().enabled()) return;
  AccessRecord record;
  record.begun = request_.begun_at;
  record.took = took;
  if (request_.first_byte != SteadyTime{})
    record.to_first_byte =
        std::chrono::duration_cast<std::chrono::microseconds>(request_.first_byte - request_.begun);
  record.request_id = request_.id;
  record.tls = door_.tls;
  record.client = client_address_;
  if (request_.head != nullptr) {
    record.method = head_.method;
    record.target = head_.target;
    record.user_agent = head_.find("user-agent").value_or("");
  }
  if (request_.target != nullptr) record.host = target_.host;
  record.app = request_.app;
  record.instance = request_.instance;
  record.status = request_.status;
  record.attempts = request_.attempts;
  record.bytes_in = client_.read_bytes() - request_.read_before;
  record.bytes_out = client_.written_bytes() - request_.written_before;
  record.error = request_.error;
  worker_.access_log().write(record);
}

Task<void> Session::close_gently() {
  if (!client_.is_open()) co_return;
  client_.shutdown_send();
  co_await worker_.linger(client_, in_, client_.now() + worker_.limits().linger_time);
  client_.close();
}

}  // namespace karreg::proxy
