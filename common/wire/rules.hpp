#pragma once
/// Rules of an application that the proxy keeps for it: redirects, who may come, what is added to
/// messages (docs/rules.md tells them to users, with every bound). Set through the API, carried by
/// wire::Route, enforced by reverse-proxy/rules.

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/error.hpp"

namespace karreg::wire {

/// Bounds of a set of rules. All of it travels with each route of the application.
struct RuleBounds {
  static constexpr std::size_t json_bytes = 64UL * 1024;  ///< the whole set, as JSON
  static constexpr std::size_t html_bytes = 16UL * 1024;  ///< one page
  static constexpr std::size_t redirects = 200;
  static constexpr std::size_t addresses = 500;  ///< of one list
  static constexpr std::size_t fields = 32;      ///< of one list of header fields
  static constexpr std::size_t field_bytes = 4096;
  static constexpr std::size_t users = 50;
  static constexpr std::size_t paths = 100;
  static constexpr std::size_t path_bytes = 1024;
  static constexpr std::size_t url_bytes = 2048;
  static constexpr std::size_t ca_bytes = 16UL * 1024;  ///< of one list of authorities, as PEM
  static constexpr std::size_t ca_certificates = 10;
};

/// What is asked for by @c host and one of @c path (as it is) or @c prefix (begins and ends with
/// '/'; takes the path without the last '/', too) is at @c to. Empty ones do not matter; one at
/// least is there.
struct Redirect {
  std::string host = {};
  std::string path = {};
  std::string prefix = {};
  std::string to = {};  ///< "/path" or "https://host/path"
  int status = 302;
  bool keep_path = true;   ///< what follows the prefix (all, for a host alone) is appended
  bool keep_query = true;  ///< unless @c to has one
  bool operator==(const Redirect&) const = default;
};

/// By address of the visitor, in CIDR notation; the longest range that holds it decides. In none:
/// he may come if @c allow is empty.
struct AddressRules {
  std::vector<std::string> allow = {};
  std::vector<std::string> deny = {};
  bool operator==(const AddressRules&) const = default;
};

struct BasicAuth {
  std::string realm = "Restricted";
  std::map<std::string, std::string> users = {};  ///< name -> hash as crypt(5) writes it
  std::vector<std::string> except =
      {};                ///< paths that need none: exact, or a prefix that ends with '/'
  bool forward = false;  ///< the application gets the Authorization field
  bool operator==(const BasicAuth&) const = default;
};

/// @c requests in @c seconds on the average, and up to @c burst at once.
struct Rate {
  int requests = 0;
  int seconds = 1;
  int burst = 0;
  bool operator==(const Rate&) const = default;
};
struct RateLimits {
  std::optional<Rate> client;  ///< of one address (IPv6: one network of 64 bits)
  std::optional<Rate> app;     ///< of all
  bool operator==(const RateLimits&) const = default;
};

/// Requests in hand at one time; 0: no bound of the application's own.
struct InHandLimits {
  int app = 0;
  int client = 0;
  int instance = 0;  ///< at each of them
  bool operator==(const InHandLimits&) const = default;
};

struct Maintenance {
  bool on = false;
  std::string html = {};  ///< empty: the proxy's own page
  int retry_after_s = 0;
  std::vector<std::string> allow = {};  ///< CIDR; who comes from there sees the application
  bool operator==(const Maintenance&) const = default;
};

/// Well-known fields of answers that make browsers careful, added where the application does not
/// say them itself.
struct SecurityHeaders {
  std::string preset = "none";                      ///< none, basic, strict
  std::map<std::string, std::string> replace = {};  ///< field -> value in place of the preset's;
                                                    ///< empty: it is not added
  bool operator==(const SecurityHeaders&) const = default;
};

struct HeaderRules {
  std::vector<std::string> remove = {};
  std::map<std::string, std::string> set = {};  ///< in place of what is there
  std::map<std::string, std::string> add = {};  ///< beside what is there
  bool operator==(const HeaderRules&) const = default;
};

struct Compression {
  std::vector<std::string> codings =
      {};                ///< gzip, br, zstd: the first of those a visitor likes best
  int min_bytes = 1024;  ///< shorter bodies stay as they are
  bool operator==(const Compression&) const = default;
};

/// Who comes by https proves who he is by a certificate (RFC 8446 §4.3.2), in the handshake for one
/// of the application's hosts. By http nobody is let in.
struct ClientCertificates {
  std::string ca =
      {};  ///< PEM: who has made the certificates that are taken, one authority or more
  bool required = true;  ///< who has none is not let in; else the application is told who has one
  bool operator==(const ClientCertificates&) const = default;
};

/// How the instances are spoken to.
struct InstanceRule {
  std::string protocol = "http1";  ///< http1, h2c: in clear; https, h2: by TLS
  std::string ca = {};  ///< of TLS: PEM of the authorities (or of the instances' own certificates)
                        ///< that are trusted; empty: any certificate will do
  std::string name =
      {};  ///< of TLS: what an instance is called by, and with a ca the name that its
           ///< certificate must have; empty: the host that is asked for, unchecked
  /// none, v1, v2: each connection to one begins with the header of the PROXY protocol, of this
  /// version, for the visitor.
  std::string send_proxy = "none";
  bool operator==(const InstanceRule&) const = default;
};

struct Rules {
  std::vector<Redirect> redirects;
  AddressRules addresses;
  std::optional<BasicAuth> basic_auth;
  RateLimits rate;
  InHandLimits in_hand;
  std::int64_t max_body_bytes = 0;  ///< of a request; 0: no bound of the application's own
  std::optional<Maintenance> maintenance;
  std::map<int, std::string> error_pages;  ///< status -> HTML, for what the proxy says itself
  SecurityHeaders security_headers;
  HeaderRules request_headers;
  HeaderRules response_headers;
  std::optional<Compression> compression;
  std::optional<ClientCertificates> client_certificates;
  InstanceRule instance;
  bool operator==(const Rules&) const = default;
};

/// Error `invalid` names the field ("redirects[2].status"), its value and what is allowed; fields
/// that are not known are an error, so that no rule is left out silently. Error `too_large`: more
/// than RuleBounds::json_bytes.
Result<Rules> read_rules(const nlohmann::json& from);
/// What read_rules() makes the same rules of, without what is as it would be anyway.
nlohmann::json rules_json(const Rules& rules);

/// Rules of a route; none for most. Immutable and shared: copies of a route share them.
class SharedRules {
 public:
  SharedRules() = default;
  explicit SharedRules(Rules rules) : rules_(std::make_shared<const Rules>(std::move(rules))) {}

  const Rules* get() const { return rules_.get(); }
  explicit operator bool() const { return rules_ != nullptr; }
  /// Why they could not be read when the message came; empty: they could. A route with such rules
  /// is not to be used: without them it would let in whom they keep out.
  const std::string& unreadable() const;
  /// There are rules, be they readable or not.
  bool present() const { return rules_ || unreadable_; }
  bool operator==(const SharedRules& other) const;

  friend void to_json(nlohmann::json& to, const SharedRules& from);
  friend void from_json(const nlohmann::json& from, SharedRules& to);

 private:
  struct Unreadable;  ///< with what came, which is written again as it was
  std::shared_ptr<const Rules> rules_;
  std::shared_ptr<const Unreadable> unreadable_;
};

}  // namespace karreg::wire
