#include "reverse-proxy/turn.hpp"

#include <fmt/format.h>

#include <array>
#include <ranges>

#include "common/text.hpp"
#include "reverse-proxy/http1/trace_context.hpp"
#include "reverse-proxy/worker.hpp"

namespace karreg::proxy {

using std::chrono::steady_clock;

namespace {

/// All 16 digits of @p number.
void append_hex(std::string& out, std::uint64_t number) {
  std::array<char, 16> digits{};
  for (auto& digit : digits | std::views::reverse) {
    digit = "0123456789abcdef"[number & 0xf];
    number >>= 4;
  }
  out.append(digits.data(), digits.size());
}

std::chrono::microseconds in_us(steady_clock::duration time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time);
}

}  // namespace

namespace {
/// A request of the worker's that is not over.
class InHand {
 public:
  explicit InHand(std::size_t& count) : count_(count) { ++count_; }
  ~InHand() { --count_; }
  InHand(const InHand&) = delete;
  InHand& operator=(const InHand&) = delete;

 private:
  std::size_t& count_;
};
}  // namespace

/// Tells the access log when the request is over, in whichever way that comes.
class Turn::Record {
 public:
  Record(Turn& turn, const Visitor& visitor) : turn_(turn), visitor_(visitor) {}
  ~Record() { turn_.record(visitor_); }
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;

 private:
  Turn& turn_;
  const Visitor& visitor_;
};

void Turn::begin(const Door& door, std::string_view client_address) {
  door_ = &door;
  client_address_ = client_address;
  // Its texts keep their memory.
  Request fresh;
  for (auto text : {&Request::id, &Request::app, &Request::instance, &Request::error}) {
    (fresh.*text).swap(request.*text);
    (fresh.*text).clear();
  }
  request = std::move(fresh);
  request.begun_at = std::chrono::system_clock::now();
  request.begun = steady_clock::now();
  append_hex(request.id, worker_.chance());
  append_hex(request.id, worker_.chance());
  request.id.copy(request.trace.data(), request.trace.size());
}

std::optional<http1::Refusal> Turn::examine() {
  if (auto refusal = http1::read_target(head, target)) return refusal;
  const auto framing = http1::request_framing(head);
  if (const auto* unclear = std::get_if<http1::Refusal>(&framing)) return *unclear;
  request.framing = std::get<http1::Framing>(framing);
  if (head.method == "TRACE") return http1::Refusal{405, "TRACE is not offered here"};
  request.target = &target;
  return std::nullopt;
}

Task<void> Turn::serve(Visitor& visitor) {
  const Record record(*this, visitor);
  const InHand in_hand(worker_.in_hand());
  request.head = &head;
  if (worker_.options().trust_forwarded) {
    if (const auto id = http1::acceptable_request_id(head)) request.id = *id;
  }
  if (const auto refusal = examine()) {
    worker_.count().malformed.add();
    co_await say(visitor, refused(*refusal), refusal->why);
    co_return;
  }
  visitor.begin_body(request.framing);
  if (const auto own = own_answer()) {
    co_await say(visitor, own->answer, own->error);
    co_return;
  }
  const auto answer = co_await exchange.run(request, visitor);
  if (answer) co_await say(visitor, *answer, {});
}

Task<void> Turn::refuse(Visitor& visitor, const Answer& answer, std::string_view error) {
  const Record record(*this, visitor);
  co_await say(visitor, answer, error);
}

// No coroutine: its frame would hold the table for as long as the exchange lasts, an hour for some.
std::optional<Turn::OwnAnswer> Turn::own_answer() {
  const auto& options = worker_.options();
  const auto& routes = worker_.routes();
  if (worker_.in_hand() > worker_.most_connections())
    return OwnAnswer{too_many_connections(), "the proxy has too many requests in hand"};
  if (!routes) return OwnAnswer{no_routes_yet(), "no table of routes yet"};
  const auto* route = routes->find(target.host, target.path);
  if (route == nullptr) {
    worker_.count().unknown_host.add();
    return OwnAnswer{unknown_host(target.host), "unknown host"};
  }
  const std::string_view made(request.trace.data(), request.trace.size());
  const auto given = http1::trace_id_of(head);
  const auto new_trace = given ? std::string_view() : made;
  if (given) given->copy(request.trace.data(), request.trace.size());
  request.by = {.client_address = client_address_,
                .scheme = door_->tls ? "https" : "http",
                .port = door_->port,
                .request_id = request.id,
                .new_trace = new_trace,
                .trust_client = options.trust_forwarded};
  const bool came_by_https =
      door_->tls || (options.trust_forwarded &&
                     text::iequals(head.find("x-forwarded-proto").value_or(""), "https"));
  request.hsts = route->force_https && came_by_https;
  if (!route->force_https || worker_.https_port() == 0 || came_by_https) return std::nullopt;
  const bool safe = head.method == "GET" || head.method == "HEAD";
  const auto port =
      worker_.https_port() == 443 ? std::string() : fmt::format(":{}", worker_.https_port());
  return OwnAnswer{
      use_https(fmt::format("https://{}{}{}", target.host, port, target.forward), safe)};
}

Task<void> Turn::say(Visitor& visitor, const Answer& answer, std::string_view error) {
  request.status = answer.status;
  if (request.error.empty()) request.error = error;
  const auto format =
      request.head == nullptr ? AnswerFormat::text : format_for(head.find("accept").value_or(""));
  request.answered = co_await visitor.say(answer, format, request.id);
}

void Turn::record(const Visitor& visitor) {
  if (!request.answered && worker_.cutting()) {
    worker_.count().cut.add();
    request.error = "cut: the proxy stopped";
    // The client has not left, as far as anybody knows.
    if (request.status == 499) request.status = 0;
  }
  const auto took = in_us(steady_clock::now() - request.begun);
  worker_.count().answered(request.status, took);
  if (request.status == 499) worker_.count().client_left.add();
  const Answered answered{request.status, took, request.attempts, visitor.bytes_in(),
                          visitor.bytes_out()};
  if (!request.app.empty()) worker_.apps().add(request.app, answered, worker_.loop().now());
  if (!request.instance.empty())
    worker_.instances().add(request.instance, answered, worker_.loop().now());
  if (!worker_.access_log().enabled()) return;
  AccessRecord record;
  record.begun = request.begun_at;
  record.took = took;
  if (request.first_byte != SteadyTime{})
    record.to_first_byte = in_us(request.first_byte - request.begun);
  record.request_id = request.id;
  record.trace = {request.trace.data(), request.trace.size()};
  record.tls = door_->tls;
  record.client = client_address_;
  if (request.head != nullptr) {
    record.method = head.method;
    record.target = head.target;
    record.user_agent = head.find("user-agent").value_or("");
    record.referer = head.find("referer").value_or("");
    record.protocol = visitor.protocol();
  }
  if (request.target != nullptr) record.host = target.host;
  record.app = request.app;
  record.instance = request.instance;
  record.status = request.status;
  record.attempts = request.attempts;
  record.bytes_in = visitor.bytes_in();
  record.bytes_out = visitor.bytes_out();
  record.error = request.error;
  worker_.access_log().write(record);
}

}  // namespace karreg::proxy
