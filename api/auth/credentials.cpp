#include "api/auth/credentials.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "common/crypto/digest.hpp"
#include "common/text.hpp"

namespace karreg::api {

using http::percent_encode;

namespace {

Error refused(const std::string& why) {
  return Error(ErrorKind::unauthorized, why);
}

Result<Credentials> parse_oauth(std::string_view rest) {
  OAuthCredentials credentials;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const std::string_view pair = text::trimmed(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) return refused("the OAuth header is malformed");
    std::string_view value = pair.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    auto decoded = http::percent_decode(value, false);
    if (!decoded) return refused("the OAuth header is malformed");
    credentials.parameters[std::string(text::trimmed(pair.substr(0, equals)))] = *decoded;
  }
  if (credentials.get("oauth_token").empty() || credentials.get("oauth_signature").empty())
    return refused("the OAuth header lacks a token or a signature");
  return Credentials(credentials);
}

std::string signature_base(const OAuthCredentials& credentials, const SignedRequest& request) {
  std::vector<std::pair<std::string, std::string>> parameters;
  for (const auto& [name, value] : request.query)
    parameters.emplace_back(percent_encode(name), percent_encode(value));
  for (const auto& [name, value] : credentials.parameters)
    if (name.starts_with("oauth_") && name != "oauth_signature")
      parameters.emplace_back(percent_encode(name), percent_encode(value));
  std::ranges::sort(parameters);
  std::string joined;
  for (const auto& [name, value] : parameters) {
    if (!joined.empty()) joined += '&';
    joined += name;
    joined += '=';
    joined += value;
  }
  return request.method + "&" +
         percent_encode(request.scheme + "://" + request.host + request.path) + "&" +
         percent_encode(joined);
}

}  // namespace

Result<Credentials> parse_authorization(std::string_view header) {
  const auto space = header.find(' ');
  const std::string_view scheme = header.substr(0, space);
  const std::string_view rest = space == std::string_view::npos
                                    ? std::string_view{}
                                    : text::trimmed(header.substr(space + 1));
  if (text::iequals(scheme, "OAuth")) return parse_oauth(rest);
  if (text::iequals(scheme, "Bearer") && !rest.empty())
    return Credentials(BearerCredentials{std::string(rest)});
  if (text::iequals(scheme, "Basic")) {
    auto decoded = crypto::base64_decode(rest);
    const auto colon = decoded ? decoded->find(':') : std::string::npos;
    if (colon == std::string::npos || !text::is_utf8(*decoded) ||
        decoded->find('\0') != std::string::npos)
      return refused("the Basic credentials are malformed");
    return Credentials(BasicCredentials{decoded->substr(0, colon), decoded->substr(colon + 1)});
  }
  return refused("the Authorization header must be OAuth, Bearer or Basic");
}

Result<void> verify_oauth(const OAuthCredentials& credentials, const SignedRequest& request,
                          const std::string& consumer_secret, const std::string& token_secret) {
  const std::string method = credentials.get("oauth_signature_method");
  const std::string signature = credentials.get("oauth_signature");
  bool good = false;
  if (method.empty() || method == "PLAINTEXT") {
    good = crypto::equal_in_constant_time(signature, consumer_secret + "&" + token_secret);
  } else if (method == "HMAC-SHA512") {
    const std::string key = percent_encode(consumer_secret) + "&" + percent_encode(token_secret);
    good = crypto::equal_in_constant_time(
        signature,
        crypto::base64_encode(crypto::hmac_sha512(key, signature_base(credentials, request))));
  } else {
    return refused("the OAuth signature method must be PLAINTEXT or HMAC-SHA512");
  }
  if (good) return ok();
  return refused("the OAuth signature is wrong: check the token and its secret");
}

Result<void> check_timestamp(const OAuthCredentials& credentials, std::int64_t now_s) {
  const std::string text = credentials.get("oauth_timestamp");
  std::int64_t time = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), time);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size())
    return refused("the OAuth timestamp is not a number");
  if (time < now_s - 600 || time > now_s + 600)
    return refused("the OAuth timestamp is more than ten minutes off: check the clock");
  return ok();
}

std::optional<std::string> cookie(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const auto semicolon = header.find(';');
    const std::string_view pair = text::trimmed(header.substr(0, semicolon));
    header =
        semicolon == std::string_view::npos ? std::string_view{} : header.substr(semicolon + 1);
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name)
      return std::string(pair.substr(equals + 1));
  }
  return std::nullopt;
}

}  // namespace karreg::api
