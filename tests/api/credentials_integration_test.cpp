// Who is let in, over HTTP against a real karreg-api.
#include <atomic>

#include "support/an_api.hpp"

using namespace karreg;
using namespace karreg::test;

namespace {

http::Response sign_in(const AnApi& api, const std::string& email, const std::string& password,
                       const std::string& forwarded_for) {
  return api.call("", "POST", "/console/session",
                  Json({{"email", email}, {"password", password}}).dump(),
                  {{"X-Forwarded-For", forwarded_for}});
}

}  // namespace

TEST_CASE("a signed request is accepted once, and its replay is refused") {
  AnApi api("hmac");
  const User ann = api.make_user("ann@example.org");
  const auto now = std::time(nullptr);
  const std::string url = api.url() + "/v2/self";
  const std::string header = ann.hmac(url, "n0nce", now);
  const auto accepted = api.call(header, "GET", "/v2/self");
  CHECK(accepted.status == 200);
  CHECK(Json::parse(accepted.body)["email"] == "ann@example.org");
  const auto replayed = api.call(header, "GET", "/v2/self");
  CHECK(replayed.status == 401);
  CHECK(message_of(replayed) == "this signed request was used before");
  CHECK(api.call(ann.hmac(url, "another", now), "GET", "/v2/self").status == 200);

  CHECK(api.call(ann.hmac(url, "third", now), "GET", "/v2/summary").status == 401);
  const auto old = api.call(ann.hmac(url, "fourth", now - 700), "GET", "/v2/self");
  CHECK(old.status == 401);
  CHECK(message_of(old) == "the OAuth timestamp is more than ten minutes off: check the clock");
}

TEST_CASE("passwords are guessed slowly, and their owner gets in") {
  AnApi api("guesses");
  const User ann = api.make_user("ann@example.org", "correct horse");
  const User bob = api.make_user("bob@example.org", "battery staple");
  for (int i = 0; i < 5; ++i) {
    const auto wrong = sign_in(api, "ann@example.org", "guess", "10.0.0.1");
    CHECK(wrong.status == 401);
    CHECK(message_of(wrong) == "the e-mail address or the password is wrong");
  }
  // A machine under load may need the whole first wait for one guess; each further one is longer.
  http::Response refused;
  for (int i = 0; i < 6 && refused.status != 429; ++i)
    refused = sign_in(api, "ann@example.org", "guess", "10.0.0.2");
  REQUIRE(refused.status == 429);
  REQUIRE(refused.headers.get("Retry-After"));
  CHECK(message_of(refused) == "too many tries to sign in; try again in " +
                                   std::string(*refused.headers.get("Retry-After")) + " s");

  const auto other = sign_in(api, "bob@example.org", "battery staple", "10.0.0.1");
  CHECK(other.status == 200);
  CHECK_THAT(std::string(*other.headers.get("Set-Cookie")),
             Catch::StartsWith("karreg_session=") && Catch::Contains("HttpOnly"));
  http::Response own;
  eventually("ann signs in after the wait", [&] {
    own = sign_in(api, "ann@example.org", "correct horse", "10.0.0.2");
    return own.status != 429;
  });
  CHECK(own.status == 200);
  const std::string cookie(*own.headers.get("Set-Cookie"));
  const auto self =
      api.call("", "GET", "/v2/self", "", {{"Cookie", cookie.substr(0, cookie.find(';'))}});
  CHECK(self.status == 200);
  CHECK(Json::parse(self.body)["email"] == "ann@example.org");
  CHECK(sign_in(api, "nobody@example.org", "", "10.0.0.3").status == 401);
}

TEST_CASE("guesses in a row hold up nobody else") {
  AnApi api("stall");
  const User ann = api.make_user("ann@example.org", "correct horse");
  std::atomic<bool> enough{false};
  std::vector<std::jthread> guessers;
  for (int i = 0; i < 12; ++i)
    guessers.emplace_back([&, i] {
      for (int n = 0; !enough && n < 1000; ++n) {
        http::ClientRequest request{
            "POST",
            api.url() + "/console/session",
            {{"X-Forwarded-For", "10.0." + std::to_string(i) + "." + std::to_string(n % 250)}},
            Json({{"email", std::to_string(i * 1000 + n) + "@example.org"}, {"password", "x"}})
                .dump()};
        static_cast<void>(http::fetch_blocking(std::move(request)));
      }
    });
  // A guess that is computed inside of a transaction shows as one that waits for its next
  // statement.
  int held = 0;
  for (int i = 0; i < 20; ++i) {
    CHECK(api.call(ann, "GET", "/v2/self").status == 200);
    if (api.database().value("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
                             "AND state = 'idle in transaction' AND state_change < "
                             "clock_timestamp() - interval '25 milliseconds'") == "1")
      ++held;
  }
  enough = true;
  guessers.clear();
  CHECK(held < 10);
}
