#include "reverse-proxy/rules/app_rules.hpp"

#include <fmt/format.h>

#include "common/http/message.hpp"
#include "common/text.hpp"
#include "reverse-proxy/rules/redirects.hpp"
#include "reverse-proxy/rules/visitor_key.hpp"

namespace karreg::proxy::rules {

namespace {

Answer not_from_here() {
  return {403,
          "Not from this address",
          "The application is not open to the address that you come from. Its owner says from "
          "where it is with `karreg rules`.",
          0,
          {}};
}

Answer under_maintenance(const wire::Maintenance& rule) {
  Answer answer{503,
                "Under maintenance",
                "The application is being worked on. Its owner opens it again with `karreg rules "
                "edit maintenance.on=false`.",
                rule.retry_after_s,
                {}};
  answer.page = rule.html;
  return answer;
}

Answer too_fast(microseconds wait) {
  return {429, "Too many requests",
          "They come faster than the application's owner allows. Try again later; the owner can "
          "change the rule with `karreg rules`.",
          static_cast<int>(std::chrono::ceil<std::chrono::seconds>(wait).count())};
}

Answer too_many_at_once(int status) {
  return {status, "Too many requests at once",
          "More are in hand than the application's owner allows. Try again in a moment; the owner "
          "can change the rule with `karreg rules`.",
          1};
}

/// What @p before has, or a new one if there is to be one.
template <class T>
std::shared_ptr<T> kept(bool wanted, const std::shared_ptr<T>& before) {
  if (!wanted) return nullptr;
  return before ? before : std::make_shared<T>();
}

Answer is_elsewhere(int status, std::string location) {
  std::string message = "What you asked for is at " + location;
  return {status, std::string(http::reason_phrase(status)), std::move(message), 0,
          std::move(location)};
}

}  // namespace

Answer instances_full() {
  return too_many_at_once(503);
}

Answer body_too_large(std::uint64_t most) {
  return {413,
          "The body is too large",
          fmt::format("The application takes bodies of at most {} bytes here. Its owner can change "
                      "that with `karreg rules edit max_body_bytes=...`.",
                      most),
          0,
          {}};
}

AppRules::AppRules(const std::string& app_id, const wire::SharedRules& source,
                   const AppRules* before)
    : source_(source),
      addresses_(rules().addresses.allow, rules().addresses.deny),
      under_maintenance_(
          rules().maintenance ? rules().maintenance->allow : std::vector<std::string>(), {}),
      request_(rules().request_headers),
      response_(rules().response_headers),
      security_(rules().security_headers),
      compression_(rules().compression),
      send_proxy_(rules().instance.send_proxy == "v1"   ? 1
                  : rules().instance.send_proxy == "v2" ? 2
                                                        : 0),
      speech_(Speech::of(rules().instance, before == nullptr ? nullptr : before->speech_)) {
  const auto old = before == nullptr ? Counts() : before->counts_;
  counts_.app_pace = kept(rules().rate.app.has_value(), old.app_pace);
  counts_.visitor_paces = kept(rules().rate.client.has_value(), old.visitor_paces);
  counts_.app_in_hand = kept(rules().in_hand.app > 0, old.app_in_hand);
  counts_.visitors_in_hand = kept(rules().in_hand.client > 0, old.visitors_in_hand);
  if (rules().basic_auth)
    challenge_ = fmt::format("Basic realm=\"{}\", charset=\"UTF-8\"", rules().basic_auth->realm);
  if (rules().client_certificates)
    client_trust_ = std::make_shared<tls::ClientTrust>(app_id, rules().client_certificates->ca);
}

std::optional<Verdict> AppRules::over_the_rate(const Asked& asked) const {
  std::optional<microseconds> wait;
  if (counts_.visitor_paces)
    wait = counts_.visitor_paces->take(Pace(*rules().rate.client),
                                       visitor_key(asked.address, counts_.visitor_paces->secret()),
                                       asked.now);
  if (!wait && counts_.app_pace) wait = counts_.app_pace->take(Pace(*rules().rate.app), asked.now);
  if (!wait) return std::nullopt;
  return Verdict{too_fast(*wait), "rule: rate"};
}

std::optional<Verdict> AppRules::too_many_in_hand(const Asked& asked, Places& places) const {
  if (counts_.visitors_in_hand &&
      !places.enter(counts_.visitors_in_hand, rules().in_hand.client,
                    visitor_key(asked.address, counts_.visitors_in_hand->secret())))
    return Verdict{too_many_at_once(429), "rule: in_hand.client"};
  if (counts_.app_in_hand && !places.enter(counts_.app_in_hand, rules().in_hand.app))
    return Verdict{too_many_at_once(503), "rule: in_hand.app"};
  return std::nullopt;
}

std::optional<Verdict> AppRules::turn_away(const Asked& asked, Places& places) const {
  if (auto verdict = by_address(asked)) return verdict;
  if (auto verdict = over_the_rate(asked)) return verdict;
  return too_many_in_hand(asked, places);
}

std::optional<Verdict> AppRules::by_address(const Asked& asked) const {
  if (addresses_.empty()) return std::nullopt;
  const bool otherwise = rules().addresses.allow.empty();
  // Who cannot be told is nobody that is listed.
  const bool allowed = asked.address ? addresses_.find(*asked.address).value_or(otherwise) : false;
  if (allowed) return std::nullopt;
  return Verdict{not_from_here(), "rule: addresses"};
}

std::optional<Verdict> AppRules::identify(const CameBy& by,
                                          std::chrono::system_clock::time_point now) const {
  return client_certificate(*client_trust_, rules().client_certificates->required, by, now);
}

tls::ClientCheck AppRules::client_check() const {
  return {client_trust_, client_trust_ && rules().client_certificates->required};
}

std::optional<Verdict> AppRules::maintenance(const Asked& asked) const {
  const auto& rule = rules().maintenance;
  if (!rule || !rule->on) return std::nullopt;
  if (asked.address && under_maintenance_.find(*asked.address)) return std::nullopt;
  return Verdict{under_maintenance(*rule), "rule: maintenance"};
}

std::optional<Verdict> AppRules::answer(const Asked& asked) const {
  if (auto verdict = maintenance(asked)) return verdict;
  if (auto found = redirect(rules().redirects, asked.target))
    return Verdict{is_elsewhere(found->status, std::move(found->location)), "rule: redirects"};
  const auto most = max_body();
  if (most && asked.framing.kind == http1::BodyKind::length && asked.framing.length > *most)
    return Verdict{body_too_large(*most), "rule: max_body_bytes"};
  return std::nullopt;
}

AppRules::Access AppRules::access(const http1::RequestHead& head,
                                  const http1::Target& target) const {
  const auto& rule = rules().basic_auth;
  if (!rule || is_excepted(rule->except, target.path)) return std::monostate();
  const auto field = head.find("authorization");
  auto credentials = field ? read_basic(*field) : std::nullopt;
  if (!credentials) {
    Answer answer{401, "A password is needed",
                  "The application is open to those only whom its owner has given a password."};
    answer.fields = {{"WWW-Authenticate", challenge_}};
    return Verdict{std::move(answer), "rule: basic_auth"};
  }
  const auto user = rule->users.find(credentials->user);
  const bool known = user != rule->users.end();
  return Check{std::move(*credentials), known ? user->second : rule->users.begin()->second, known};
}

Verdict AppRules::wrong_password() const {
  Answer answer{401, "Wrong name or password",
                "The application's owner can give a new one with `karreg rules password`."};
  answer.fields = {{"WWW-Authenticate", challenge_}};
  return {std::move(answer), "rule: basic_auth"};
}

Verdict AppRules::too_many_passwords() const {
  return {{503, "Too many passwords at once",
           "More of them wait to be compared than this proxy may hold. Try again in a moment.", 1},
          "rule: basic_auth: too many wait"};
}

std::optional<std::uint64_t> AppRules::max_body() const {
  if (rules().max_body_bytes == 0) return std::nullopt;
  return static_cast<std::uint64_t>(rules().max_body_bytes);
}

void AppRules::edit_answer(http1::ResponseHead& head, bool https) const {
  response_.apply(head);
  security_.append(head.fields, https);
}

void AppRules::dress(Answer& answer, bool https) const {
  const auto page = rules().error_pages.find(answer.status);
  if (answer.page.empty() && page != rules().error_pages.end()) answer.page = page->second;
  answer.fields.insert(answer.fields.end(), response_.added().begin(), response_.added().end());
  security_.append(answer.fields, https);
}

}  // namespace karreg::proxy::rules
