#include "reverse-proxy/session.hpp"

#include <array>

#include "reverse-proxy/http2/session.hpp"
#include "reverse-proxy/proxy_protocol.hpp"

namespace karreg::proxy {

namespace {
/// For a connection that has not said anything when the worker begins to drain.
constexpr Limits::ms fresh_time{1'000};
}  // namespace

Session::Session(Worker& worker, Accepted& connection)
    : worker_(worker),
      client_(worker.loop(), connection.fd, worker.buffers(), worker.swept()),
      client_address_(connection.client),
      door_(*connection.door) {
  worker_.sessions_.push_back(*this);
  worker_.count().connections_open.add();
}

Session::~Session() {
  worker_.sessions_.erase(SessionList::s_iterator_to(*this));
  worker_.count().connections_open.subtract();
  worker_.count().bytes_in.add(client_.read_bytes());
  worker_.count().bytes_out.add(client_.written_bytes());
  worker_.buffers().take_back(in_);
  end_turn();
}

Task<void> Session::serve(Worker& worker, Accepted connection) {
  Session session(worker, connection);
  const bool of_use = co_await session.begin();
  if (!of_use) co_return;
  session.begun_ = true;
  if (session.client_.protocol() == "h2") {
    co_await session.speak_http2();
    co_return;
  }
  for (;;) {
    // A request that is already there is served, also while draining.
    if (session.in_.empty() && worker.in_haste() && session.served_any_) {
      if (!session.client_.has_bytes()) co_return;
    } else if (session.in_.empty()) {
      session.idle_ = true;
      const auto read =
          co_await session.client_.read_some(session.in_, worker.loop().now() + session.patience());
      session.idle_ = false;
      const bool comes = read.ok() || (worker.draining() && session.client_.has_bytes());
      if (!comes) co_return;
    }
    const bool go_on = co_await session.serve_request();
    if (!go_on) break;
    session.served_any_ = true;
    if (session.in_.empty()) {
      worker.buffers().take_back(session.in_);
      session.end_turn();
    }
  }
  co_await session.close_gently();
}

void Session::end_turn() {
  if (!turn_) return;
  turn_->exchange.release();
  worker_.take_back(std::move(turn_));
}

void Session::drain() {
  if (http2_ != nullptr) http2_->drain();
  // Who is still in the handshake has a moment to end it and to ask.
  if (begun_ && !idle_) return;
  if (served_any_)
    client_.cancel();
  else
    client_.extend_read(client_.now() + fresh_time);
}

void Session::leave() {
  // HTTP/1.1 tells it with the answer (Http1Visitor::keep()).
  if (http2_ != nullptr) http2_->drain();
}

Task<bool> Session::begin() {
  if (worker_.options().proxy_protocol) {
    const bool told = co_await take_proxy_header(worker_, client_, client_address_);
    if (!told) co_return false;
  }
  if (!door_.tls) co_return true;
  co_return co_await begin_tls();
}

Task<bool> take_proxy_header(Worker& worker, Connection& connection, std::string& client) {
  const auto by = connection.now() + worker.limits().header_time;
  std::array<char, max_proxy_header> came{};
  // Only looked at, so that what follows stays where TLS finds it.
  for (std::size_t seen = 0;;) {
    const auto look = co_await connection.look_ahead(came, seen, by);
    if (look.error || look.bytes <= seen) co_return false;
    seen = look.bytes;
    const auto read = read_proxy_header({came.data(), seen});
    if (read.broken) {
      worker.count().malformed.add();
      co_return false;
    }
    if (!read.header) continue;
    if (!read.header->client.empty()) {
      client = read.header->client;
      connection.are_told(read.header->ends);
    }
    connection.pass_over(read.header->bytes);
    co_return true;
  }
}

Task<bool> Session::begin_tls() {
  using Status = tls::Stream::Status;
  const auto status =
      co_await client_.secure(worker_.tls(), client_.now() + worker_.limits().header_time);
  if (status == Status::done) {
    worker_.count().handshakes.add();
    if (client_.protocol() != tls::acme_protocol) co_return true;
    // RFC 8737 §3: a certificate authority wanted to see the certificate, and says nothing more.
    co_await close_gently();
    co_return false;
  }
  worker_.count().handshake_failures.add();
  tell_refusal();
  if (status == Status::plain_http) {
    turn_ = worker_.lend_turn();
    turn_->begin(door_, client_address_);
    Http1Visitor visitor(worker_, client_, in_, *turn_);
    co_await turn_->refuse(visitor, speaks_https(), "HTTP without TLS at the port for https");
    co_await close_gently();
  }
  co_return false;
}

void Session::tell_refusal() {
  const auto* tls = client_.tls();
  if (tls == nullptr || tls->client_refusal().empty()) return;
  worker_.count().client_certificates_refused.add();
  if (!worker_.access_log().enabled()) return;
  const auto error = "rule: client_certificates: " + tls->client_refusal();
  AccessRecord record;
  record.begun = std::chrono::system_clock::now();
  record.tls = true;
  record.client = client_address_;
  record.host = tls->server_name();
  record.app = tls->asked_by()->app_id();
  record.error = error;
  worker_.access_log().write(record);
}

Task<void> Session::speak_http2() {
  http2::Session session(worker_, client_, in_, door_, client_address_);
  http2_ = &session;
  co_await session.run();
  http2_ = nullptr;
  co_await close_gently();
}

Limits::ms Session::patience() const {
  if (worker_.in_haste()) return fresh_time;
  return served_any_ ? worker_.limits().idle_time : worker_.limits().header_time;
}

Task<bool> Session::serve_request() {
  if (!turn_) turn_ = worker_.lend_turn();
  turn_->begin(door_, client_address_);
  Http1Visitor visitor(worker_, client_, in_, *turn_);
  const auto head = co_await read_head(visitor);
  if (head == HeadResult::gone) client_.close();
  if (head != HeadResult::ready) co_return false;
  co_await turn_->serve(visitor);
  in_.erase(0, std::min(visitor.consumed(), in_.size()));
  co_return visitor.keep();
}

Task<Session::HeadResult> Session::read_head(Http1Visitor& visitor) {
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
      if (!refusal) co_return HeadResult::ready;
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
    co_await turn_->refuse(visitor, client_late(), "the header came too slowly");
    co_return HeadResult::refused;
  }
  worker_.count().malformed.add();
  co_await turn_->refuse(visitor, refused(*refusal), refusal->why);
  co_return HeadResult::refused;
}

Task<void> Session::close_gently() {
  if (!client_.is_open()) co_return;
  client_.shutdown_send();
  co_await worker_.linger(client_, in_, client_.now() + worker_.limits().linger_time);
  client_.close();
}

}  // namespace karreg::proxy
