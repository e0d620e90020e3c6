// The login of command lines that the user accepts in the browser. Whoever knows the random text of
// the command line gets the token, once: the text goes no other way than from the command line to
// its user's browser.
#include "api/clever/objects.hpp"
#include "api/console/console.hpp"
#include "api/stores/cli_logins_store.hpp"
#include "api/stores/users_store.hpp"

namespace karreg::api::console {

namespace {

Result<void> check_request(const std::string& request) {
  if (is_cli_request(request)) return ok();
  return Error(
      ErrorKind::invalid,
      "cli_token must be the 20 to 100 letters, digits, - and _ that the command line chose");
}

Result<Answer> accept(const Call& call, pqxx::work& work) {
  if (!call.identity.by_cookie)
    return Error(ErrorKind::forbidden,
                 "the login of a command line is accepted in the console, not with a token");
  auto body = json_object(call.body);
  if (!body) return body.error();
  auto request = field<std::string>(*body, "cli_token", "");
  if (!request) return request.error();
  if (auto good = check_request(*request); !good) return good.error();
  if (auto accepted = accept_cli_login(work, call.identity, *request); !accepted)
    return accepted.error();
  return done("accepted: the command line gets its token");
}

Result<Answer> fetch(const Call& call, pqxx::work& work) {
  const std::string request = call.parameter("cli_token").value_or("");
  if (auto good = check_request(request); !good) return good.error();
  auto user = take_cli_login(work, request);
  if (!user) return user.error();
  auto pair = create_token_pair(work, call.services.vault, *user, "a command line, by browser");
  if (!pair) return pair.error();
  return Answer{200,
                {{"token", pair->token},
                 {"secret", pair->secret},
                 {"expirationDate", clever::iso_time(pair->expires_ms)},
                 {"consumerKey", pair->consumer_key},
                 {"consumerSecret", pair->consumer_secret}},
                {}};
}

}  // namespace

void add_cli_login(Routes& routes) {
  routes.add("POST", "/console/cli_logins", accept);
  routes.add("GET", "/v2/self/cli_tokens", fetch, Access::anyone);
}

}  // namespace karreg::api::console
