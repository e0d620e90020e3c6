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
  ~Record() {
    turn_.record(visitor_);
    turn_.places_.leave();
    turn_.request.rules.reset();
  }
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
  if (const auto own = own_answer(visitor)) {
    if (own->ends_connection) visitor.end_connection();
    co_await say(visitor, own->answer, own->error);
    co_return;
  }
  if (request.rules) {
    const auto refusal = co_await ask_password();
    if (refusal) {
      co_await say(visitor, refusal->answer, refusal->error);
      co_return;
    }
    request.rules->edit_request(head);
  }
  const auto answer = co_await exchange.run(request, visitor);
  if (answer) co_await say(visitor, *answer, {});
}

Task<std::optional<Turn::OwnAnswer>> Turn::ask_password() {
  const auto& rules = *request.rules;
  auto access = rules.access(head, target);
  if (std::holds_alternative<std::monostate>(access)) co_return std::nullopt;
  std::optional<rules::Verdict> verdict;
  if (auto* check = std::get_if<rules::AppRules::Check>(&access)) {
    const auto checked =
        co_await worker_.passwords().check(worker_.password_checker(), request.app,
                                           std::move(check->credentials), std::move(check->hash));
    if (checked == rules::Checked::right && check->known) {
      if (rules.keeps_password())
        std::erase_if(head.fields, [](const http1::Field& field) {
          return text::iequals(field.name, "authorization");
        });
      co_return std::nullopt;
    }
    verdict =
        checked == rules::Checked::too_many ? rules.too_many_passwords() : rules.wrong_password();
  } else {
    verdict = std::move(std::get<rules::Verdict>(access));
  }
  worker_.count().by_rules.add();
  co_return OwnAnswer{std::move(verdict->answer), verdict->rule};
}

Task<void> Turn::refuse(Visitor& visitor, const Answer& answer, std::string_view error) {
  const Record record(*this, visitor);
  co_await say(visitor, answer, error);
}

// No coroutine: its frame would hold the table for as long as the exchange lasts, an hour for some.
std::optional<Turn::OwnAnswer> Turn::own_answer(const Visitor& visitor) {
  const auto& options = worker_.options();
  const auto& routes = worker_.routes();
  if (worker_.in_hand() > worker_.most_connections())
    return OwnAnswer{too_many_connections(), "the proxy has too many requests in hand"};
  // Before all else: a certificate authority comes by http, and maybe before the first route.
  if (const auto* challenges = worker_.challenges()) {
    if (const auto* proof = challenges->http_answer(target.host, target.path))
      return OwnAnswer{proof_of_name(*proof)};
  }
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
  request.https = came_by_https;
  request.asleep = sleeps(*route);
  if (!route->rules) return send_to_https(*route);
  request.rules = route->rules;
  request.app = route->app_id;
  const auto& rules = *request.rules;
  const rules::Asked asked{head, target, request.framing,
                           rules::visitor_address(head, client_address_, options.trust_forwarded),
                           worker_.loop().now()};
  auto verdict = rules.turn_away(asked, places_);
  if (!verdict) {
    if (auto https = send_to_https(*route)) return https;
    verdict = identify(visitor);
  }
  if (!verdict) verdict = rules.answer(asked);
  if (!verdict) return std::nullopt;
  worker_.count().by_rules.add();
  return OwnAnswer{std::move(verdict->answer), verdict->rule, verdict->ends_connection};
}

std::optional<rules::Verdict> Turn::identify(const Visitor& visitor) {
  if (!request.rules->asks_for_certificates()) return std::nullopt;
  rules::CameBy by;
  if (const auto* tls = visitor.connection().tls())
    by = {true, tls->identity(), text::iequals(tls->server_name(), target.host)};
  auto verdict = request.rules->identify(by, request.begun_at);
  if (!verdict) request.by.client_certificate = by.identity->field;
  return verdict;
}

std::optional<Turn::OwnAnswer> Turn::send_to_https(const LiveRoute& route) const {
  if (!route.force_https || worker_.https_port() == 0 || request.https) return std::nullopt;
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
  if (!request.rules) {
    request.answered = co_await visitor.say(answer, format, request.id);
    co_return;
  }
  auto dressed = answer;
  request.rules->dress(dressed, request.https);
  request.answered = co_await visitor.say(dressed, format, request.id);
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
