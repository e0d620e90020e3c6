// Credentials of a request. The HMAC vectors were computed by a separate program (Python's hmac and
// urllib) from RFC 5849 §3.4.
#include "api/auth/credentials.hpp"

#include <catch2/catch.hpp>

using namespace karreg;
using namespace karreg::api;

namespace {

OAuthCredentials signed_with(const std::string& signature) {
  OAuthCredentials credentials;
  credentials.parameters = {
      {"oauth_consumer_key", "ck"},      {"oauth_nonce", "n0nce"},
      {"oauth_signature", signature},    {"oauth_signature_method", "HMAC-SHA512"},
      {"oauth_timestamp", "1700000000"}, {"oauth_token", "tk"},
      {"oauth_version", "1.0"}};
  return credentials;
}

struct Vector {
  const char* what;
  SignedRequest request;
  const char* consumer_secret;
  const char* token_secret;
  const char* signature;
};

const std::vector<Vector>& vectors() {
  static const std::vector<Vector> all = {
      {"no query",
       {"GET", "https", "api.example.org", "/v2/self", {}},
       "cs",
       "ts",
       "WtyaaCWEvx/i8et40JcAjI3syQ4yIeuDkZyFIChyfTCjIT2S+n+y+fWBQaW9JbkuBBfHiFzYEEGXIftumi7uQw=="},
      {"a port, an encoded path, parameters twice, spaces and other letters",
       {"GET",
        "http",
        "127.0.0.1:8080",
        "/v2/organisations/orga_1/applications/app_1/vhosts/example.com%2Fapi",
        {{"limit", "5"}, {"a", "2"}, {"a", "1"}, {"q", "a b&c=d"}, {"\xc3\xa9", "\xc3\xbc~*"}}},
       "cs-._~",
       "t s",
       "z6nudP+mRUoev6oMIt8cvMGkvtkc3K8y/1iHePnFgC4O09sm/2ED8Y8nWH5GqgSfmUXYizY9oGtRJymKHythXA=="},
      {"an empty parameter",
       {"PUT", "https", "api.example.org", "/v2/self", {{"empty", ""}}},
       "cs",
       "ts",
       "bOcChU6j6Z3lS6uzHxz8laDI/PyhqXr5nPk+4f3AkpNCSp3NFGgXkIok53NKwCoK4fK0p0HJc1rwZYD51NQLTg=="},
  };
  return all;
}

}  // namespace

TEST_CASE("an HMAC signature made elsewhere is accepted", "[api]") {
  for (const auto& v : vectors()) {
    INFO(v.what);
    CHECK(verify_oauth(signed_with(v.signature), v.request, v.consumer_secret, v.token_secret));
  }
}

TEST_CASE("an HMAC signature is refused when anything of the request was changed", "[api]") {
  const Vector& good = vectors()[1];
  const auto refused = [&](const char* what, const SignedRequest& request,
                           const OAuthCredentials& credentials, const char* consumer_secret,
                           const char* token_secret) {
    INFO(what);
    const auto verified = verify_oauth(credentials, request, consumer_secret, token_secret);
    REQUIRE_FALSE(verified);
    CHECK(verified.error().kind() == ErrorKind::unauthorized);
  };
  const auto credentials = signed_with(good.signature);
  auto request = good.request;
  request.method = "DELETE";
  refused("method", request, credentials, good.consumer_secret, good.token_secret);
  request = good.request;
  request.scheme = "https";
  refused("scheme", request, credentials, good.consumer_secret, good.token_secret);
  request = good.request;
  request.host = "127.0.0.1";
  refused("port", request, credentials, good.consumer_secret, good.token_secret);
  request = good.request;
  request.path = "/v2/organisations/orga_1/applications/app_1/vhosts/example.com/api";
  refused("path", request, credentials, good.consumer_secret, good.token_secret);
  request = good.request;
  request.query.pop_back();
  refused("query", request, credentials, good.consumer_secret, good.token_secret);
  auto other = credentials;
  other.parameters["oauth_timestamp"] = "1700000001";
  refused("timestamp", good.request, other, good.consumer_secret, good.token_secret);
  refused("consumer secret", good.request, credentials, "other", good.token_secret);
  refused("token secret", good.request, credentials, good.consumer_secret, "other");
  refused("empty signature", good.request, signed_with(""), good.consumer_secret,
          good.token_secret);
}

TEST_CASE("the header of PLAINTEXT clients is understood", "[api]") {
  const auto parsed = parse_authorization(
      R"(OAuth oauth_consumer_key="K", oauth_token="T", oauth_signature="KS%26TS")");
  REQUIRE(parsed);
  const auto& oauth = std::get<OAuthCredentials>(*parsed);
  CHECK(oauth.get("oauth_consumer_key") == "K");
  CHECK(oauth.get("oauth_token") == "T");
  CHECK_FALSE(oauth.is_hmac());
  const SignedRequest any{"GET", "http", "h", "/", {}};
  CHECK(verify_oauth(oauth, any, "KS", "TS"));
  CHECK_FALSE(verify_oauth(oauth, any, "KS", "TT"));
  CHECK_FALSE(verify_oauth(oauth, any, "", "KS&TS"));
}

TEST_CASE("the header of HMAC clients is understood, its values percent-encoded", "[api]") {
  const auto parsed = parse_authorization(
      "OAuth oauth_consumer_key=\"ck\",oauth_nonce=\"a%2Bb\", oauth_signature=\"x%2Fy%3D%3D\",  "
      "oauth_signature_method=\"HMAC-SHA512\", oauth_timestamp=\"1\", oauth_token=\"tk\"");
  REQUIRE(parsed);
  const auto& oauth = std::get<OAuthCredentials>(*parsed);
  CHECK(oauth.is_hmac());
  CHECK(oauth.get("oauth_nonce") == "a+b");
  CHECK(oauth.get("oauth_signature") == "x/y==");
}

TEST_CASE("bearer and basic credentials are understood", "[api]") {
  const auto bearer = parse_authorization("bearer  abc ");
  REQUIRE(bearer);
  CHECK(std::get<BearerCredentials>(*bearer).token == "abc");
  const auto basic = parse_authorization("Basic dG9rZW46c2U6Y3JldA==");  // token:se:cret
  REQUIRE(basic);
  CHECK(std::get<BasicCredentials>(*basic).user == "token");
  CHECK(std::get<BasicCredentials>(*basic).password == "se:cret");
}

TEST_CASE("malformed credentials are refused with what is wrong", "[api]") {
  struct Case {
    const char* header;
    const char* message;
  };
  for (const Case& c : std::vector<Case>{
           {"", "the Authorization header must be OAuth, Bearer or Basic"},
           {"Digest x", "the Authorization header must be OAuth, Bearer or Basic"},
           {"Bearer ", "the Authorization header must be OAuth, Bearer or Basic"},
           {"OAuth", "the OAuth header lacks a token or a signature"},
           {"OAuth oauth_token", "the OAuth header is malformed"},
           {"OAuth oauth_token=\"%zz\"", "the OAuth header is malformed"},
           {"OAuth oauth_token=\"T\"", "the OAuth header lacks a token or a signature"},
           {"Basic !!!", "the Basic credentials are malformed"},
           {"Basic bm9jb2xvbg==", "the Basic credentials are malformed"},
       }) {
    INFO(c.header);
    const auto parsed = parse_authorization(c.header);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().kind() == ErrorKind::unauthorized);
    CHECK(parsed.error().message() == c.message);
  }
}

TEST_CASE("other signature methods are refused", "[api]") {
  OAuthCredentials credentials = signed_with("ts");
  credentials.parameters["oauth_signature_method"] = "HMAC-SHA1";
  const auto verified = verify_oauth(credentials, vectors()[0].request, "", "ts");
  REQUIRE_FALSE(verified);
  CHECK(verified.error().message() ==
        "the OAuth signature method must be PLAINTEXT or HMAC-SHA512");
}

TEST_CASE("a signed request is good for ten minutes around its time", "[api]") {
  const auto credentials = signed_with("x");
  CHECK(check_timestamp(credentials, 1700000000 + 600));
  CHECK(check_timestamp(credentials, 1700000000 - 600));
  CHECK_FALSE(check_timestamp(credentials, 1700000000 + 601));
  CHECK_FALSE(check_timestamp(credentials, 1700000000 - 601));
  for (const char* bad : {"", "abc", "1e9", "17000000000000000000000", "-9223372036854775808"}) {
    OAuthCredentials other = credentials;
    other.parameters["oauth_timestamp"] = bad;
    INFO(bad);
    CHECK_FALSE(check_timestamp(other, 1700000000));
  }
}

TEST_CASE("a cookie is found among others", "[api]") {
  CHECK(cookie("a=1; karreg_session=x=y; b=2", "karreg_session") == "x=y");
  CHECK(cookie("karreg_session=", "karreg_session") == "");
  CHECK_FALSE(cookie("xkarreg_session=1", "karreg_session"));
  CHECK_FALSE(cookie("", "karreg_session"));
}
