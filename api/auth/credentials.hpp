#pragma once
/// Credentials of a request, taken apart and verified. Pure: the caller looks up what the names
/// mean.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/error.hpp"
#include "common/http/message.hpp"

namespace karreg::api {

/// OAuth 1.0 (RFC 5849) parameters of an Authorization header; values percent-decoded.
struct OAuthCredentials {
  std::map<std::string, std::string> parameters;
  std::string get(const std::string& name) const {
    const auto it = parameters.find(name);
    return it == parameters.end() ? std::string() : it->second;
  }
  bool is_hmac() const { return get("oauth_signature_method") == "HMAC-SHA512"; }
};
struct BearerCredentials {
  std::string token;
};
/// RFC 7617.
struct BasicCredentials {
  std::string user;
  std::string password;
};
using Credentials = std::variant<OAuthCredentials, BearerCredentials, BasicCredentials>;

/// Error `unauthorized` with what is wrong with the header.
Result<Credentials> parse_authorization(std::string_view header);

/// What of a request an HMAC signature covers.
struct SignedRequest {
  std::string method;
  std::string scheme;  ///< that the client used
  std::string host;    ///< of the Host header, with its port
  std::string path;    ///< as sent
  http::Query query;   ///< decoded
};

/// Compares the signature with the one made from both secrets. PLAINTEXT (RFC 5849 §3.4.4, and when
/// no method is named) or HMAC-SHA512. Error `unauthorized`.
Result<void> verify_oauth(const OAuthCredentials& credentials, const SignedRequest& request,
                          const std::string& consumer_secret, const std::string& token_secret);

/// Whether the timestamp of an HMAC request is within ten minutes of @p now_s.
Result<void> check_timestamp(const OAuthCredentials& credentials, std::int64_t now_s);

/// Value of the cookie @p name, from a Cookie header.
std::optional<std::string> cookie(std::string_view header, std::string_view name);

}  // namespace karreg::api
