#pragma once
/// The rules of an application as the workers use them: taken apart once, immutable, shared by all
/// its routes and all workers. What becomes of a request follows from it and the rules: pure.
///
/// Order: addresses, rate, requests in hand, https (not a rule of these, but it stands here),
/// client certificates, maintenance, redirects, the length of the body, the password; then the
/// request's header fields, the application, and on the way back the answer's header fields and the
/// security fields.

#include <memory>
#include <optional>
#include <variant>

#include "reverse-proxy/http1/body.hpp"
#include "reverse-proxy/http1/target.hpp"
#include "reverse-proxy/rules/address_set.hpp"
#include "reverse-proxy/rules/basic_auth.hpp"
#include "reverse-proxy/rules/client_certificates.hpp"
#include "reverse-proxy/rules/compression.hpp"
#include "reverse-proxy/rules/header_edits.hpp"
#include "reverse-proxy/rules/in_hand.hpp"
#include "reverse-proxy/rules/pace.hpp"
#include "reverse-proxy/rules/speech.hpp"

namespace karreg::proxy::rules {

/// What rules look at.
struct Asked {
  const http1::RequestHead& head;
  const http1::Target& target;
  http1::Framing framing;
  std::optional<IpAddress> address;  ///< of the visitor
  SteadyClock::time_point now;
};

/// What was counted of an application's visitors: it goes on when the rules change.
struct Counts {
  std::shared_ptr<AppPace> app_pace;
  std::shared_ptr<VisitorPaces> visitor_paces;
  std::shared_ptr<AppInHand> app_in_hand;
  std::shared_ptr<VisitorsInHand> visitors_in_hand;
};

class AppRules {
 public:
  /// Of application @p app_id. @p before: its rules that these stand in for; nullptr: none.
  AppRules(const std::string& app_id, const wire::SharedRules& rules, const AppRules* before);
  AppRules(const AppRules&) = delete;
  AppRules& operator=(const AppRules&) = delete;

  const wire::SharedRules& source() const { return source_; }

  /// Whether the visitor is let in at all; before he is sent to https. What it takes of @p places
  /// is the request's until it is over.
  std::optional<Verdict> turn_away(const Asked& asked, Places& places) const;
  bool asks_for_certificates() const { return client_trust_ != nullptr; }
  /// Of an application that asks for them: whether the visitor's connection has what the
  /// application wants to see of him; after turn_away(). @p now: by the calendar.
  std::optional<Verdict> identify(const CameBy& by,
                                  std::chrono::system_clock::time_point now) const;
  /// What handshakes for the application's hosts ask of visitors.
  tls::ClientCheck client_check() const;
  /// What is said in place of the application; after identify().
  std::optional<Verdict> answer(const Asked& asked) const;
  /// A password that is to be checked, of a user who is known or not.
  struct Check {
    Credentials credentials;
    std::string hash;
    bool known = false;  ///< else the answer is no, after as long a time
  };
  /// Nothing: the application needs no password here.
  using Access = std::variant<std::monostate, Verdict, Check>;
  Access access(const http1::RequestHead& head, const http1::Target& target) const;
  Verdict wrong_password() const;
  Verdict too_many_passwords() const;
  /// The Authorization field was for the proxy, and is not for the application.
  bool keeps_password() const { return rules().basic_auth && !rules().basic_auth->forward; }

  /// Version of the PROXY protocol that connections to instances begin with, 1 or 2; 0: they do
  /// not.
  int send_proxy() const { return send_proxy_; }
  /// Requests that one instance may have in hand; 0: as many as come.
  int most_per_instance() const { return rules().in_hand.instance; }
  /// Longest body of a request; nothing: it does not matter.
  std::optional<std::uint64_t> max_body() const;
  /// How the instances are spoken to; nullptr: by HTTP/1.1 in clear.
  const std::shared_ptr<const Speech>& speech() const { return speech_; }
  /// The head as the application gets it.
  void edit_request(http1::RequestHead& head) const { request_.apply(head); }
  const CompressionRule& compression() const { return compression_; }
  /// The head of the application's answer as the visitor gets it.
  void edit_answer(http1::ResponseHead& head, bool https) const;
  /// What the proxy says itself, with the application's page and fields. They live as long as this.
  void dress(Answer& answer, bool https) const;

 private:
  const wire::Rules& rules() const { return *source_.get(); }
  std::optional<Verdict> maintenance(const Asked& asked) const;
  std::optional<Verdict> by_address(const Asked& asked) const;
  std::optional<Verdict> over_the_rate(const Asked& asked) const;
  std::optional<Verdict> too_many_in_hand(const Asked& asked, Places& places) const;

  const wire::SharedRules source_;
  Counts counts_;
  std::string challenge_;  ///< value of WWW-Authenticate
  const AddressSet addresses_;
  const AddressSet under_maintenance_;
  const HeaderEdits request_;
  const HeaderEdits response_;
  const SecurityFields security_;
  const CompressionRule compression_;
  const int send_proxy_;
  std::shared_ptr<const tls::ClientTrust> client_trust_;  ///< nullptr: no certificate is wanted
  const std::shared_ptr<const Speech> speech_;
};

/// What is said when all instances have as many in hand as they may have.
Answer instances_full();
/// What a body that is longer than @p most is answered with.
Answer body_too_large(std::uint64_t most);

}  // namespace karreg::proxy::rules
