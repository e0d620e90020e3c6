#include "api/console/console.hpp"
#include "api/stores/apps_store.hpp"
#include "api/stores/users_store.hpp"

namespace karreg::api::console {

namespace {

std::string cookie_header(const Settings& settings, const std::string& value, int seconds) {
  std::string text = "karreg_session=" + value +
                     "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(seconds);
  if (settings.public_url.starts_with("https://")) text += "; Secure";
  return text;
}

Result<Answer> sign_in(const Call& call, pqxx::work& work) {
  auto body = json_object(call.body);
  if (!body) return body.error();
  auto email = field<std::string>(*body, "email", "");
  if (!email) return email.error();
  auto password = field<std::string>(*body, "password", "");
  if (!password) return password.error();
  auto user = find_by_password(work, *email, *password);
  if (!user) return user.error();
  Answer answer = done("signed in");
  answer.headers.add("Set-Cookie", cookie_header(call.services.settings,
                                                 create_session(work, user->id), 12 * 3600));
  return answer;
}

Result<Answer> sign_out(const Call& call, pqxx::work& work) {
  // The cookie that authenticated this call is the one to end; a token of another kind has no
  // session.
  delete_session(work, call.identity.token_id);
  Answer answer = done("signed out");
  answer.headers.add("Set-Cookie", cookie_header(call.services.settings, "", 0));
  return answer;
}

Result<Answer> settings(const Call& call, pqxx::work& work) {
  const auto& s = call.services.settings;
  return Answer{200,
                {{"appsScheme", s.apps_scheme},
                 {"appsPort", s.apps_port},
                 {"version", "0.1.0"},
                 {"accelerator", accelerator_of_hosts(work).value_or("no host is up")}},
                {}};
}

}  // namespace

void add_console(Routes& routes) {
  routes.add("POST", "/console/session", sign_in, Access::anyone);
  routes.add("DELETE", "/console/session", sign_out);
  routes.add("GET", "/console/settings", settings);
}

}  // namespace karreg::api::console
