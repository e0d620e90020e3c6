#include "api/auth/sign_in_guard.hpp"
#include "api/console/console.hpp"
#include "api/stores/users_store.hpp"
#include "common/async/offload.hpp"
#include "common/crypto/password.hpp"

namespace karreg::api::console {

namespace {

constexpr std::size_t max_sign_in = 16UL * 1024;

std::string cookie_header(const Settings& settings, const std::string& value, int seconds) {
  std::string text = "karreg_session=" + value +
                     "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(seconds);
  if (settings.public_url.starts_with("https://")) text += "; Secure";
  return text;
}

struct SignIn {
  std::string email;
  std::string password;
};

Result<SignIn> sign_in_of(const std::string& text) {
  auto body = json_object(text);
  if (!body) return body.error();
  auto email = field<std::string>(*body, "email", "");
  if (!email) return email.error();
  auto password = field<std::string>(*body, "password", "");
  if (!password) return password.error();
  if (email->find('\0') != std::string::npos)
    return Error(ErrorKind::invalid, "the field \"email\" holds a NUL character");
  return SignIn{*email, *password};
}

Answer too_many(std::chrono::seconds wait) {
  Answer answer = problem(
      429, 429, "too many tries to sign in; try again in " + std::to_string(wait.count()) + " s");
  answer.headers.add("Retry-After", std::to_string(wait.count()));
  return answer;
}

/// Whether the password is right: outside of any transaction, on threads of its own, so that
/// guesses hold up nobody but other guesses.
awaitable<Result<std::string>> verified_user(const Services& services, const SignIn& sign_in) {
  auto read = [&] {
    return services.database.transact([&](pqxx::work& work) -> Result<PasswordRecord> {
      return password_record(work, sign_in.email);
    });
  };
  auto record = co_await offload(services.pool, read);
  if (!record) co_return record.error();
  auto verify = [&] {
    // The work is done for unknown addresses too: the time must not tell them apart.
    static const std::string nobody = crypto::hash_password("nobody");
    return crypto::verify_password(sign_in.password, record->hash.empty() ? nobody : record->hash);
  };
  const bool good = co_await offload(services.password_pool, verify);
  if (!good || record->hash.empty())
    co_return Error(ErrorKind::unauthorized, "the e-mail address or the password is wrong");
  co_return record->user_id;
}

awaitable<Result<Answer>> signed_in(const Services& services, SignInGuard& guard,
                                    const http::Request& request, std::string body) {
  auto sign_in = sign_in_of(body);
  if (!sign_in) co_return sign_in.error();
  const std::string address = guarded_address(
      request.peer, std::string(request.headers.get("X-Forwarded-For").value_or("")));
  auto admitted = guard.admit(address, sign_in->email, std::chrono::steady_clock::now());
  if (!admitted) co_return too_many(admitted.error());
  auto user = co_await verified_user(services, *sign_in);
  if (!user) co_return user.error();
  admitted->good();
  auto begin = [&] {
    return services.database.transact(
        [&](pqxx::work& work) -> Result<std::string> { return create_session(work, *user); });
  };
  auto session = co_await offload(services.pool, begin);
  if (!session) co_return session.error();
  Answer answer = done("signed in");
  answer.headers.add("Set-Cookie", cookie_header(services.settings, *session, 12 * 3600));
  co_return answer;
}

/// @p guard is shared, since a frame that is left at the end of the process outlives the routes.
awaitable<void> sign_in(const Services& services, std::shared_ptr<SignInGuard> guard,
                        http::Request& request, http::ResponseWriter& writer) {
  auto body = co_await request.read_body(max_sign_in);
  if (!body) {
    co_await writer.send(http::error_response(body.error()));
    co_return;
  }
  auto answer = co_await signed_in(services, *guard, request, std::move(*body));
  auto response = answer ? to_response(*answer) : http::error_response(answer.error());
  co_await writer.send(std::move(response));
}

Result<Answer> sign_out(const Call& call, pqxx::work& work) {
  // The cookie that authenticated this call is the one to end; a token of another kind has no
  // session.
  delete_session(work, call.identity.token_id);
  Answer answer = done("signed out");
  answer.headers.add("Set-Cookie", cookie_header(call.services.settings, "", 0));
  return answer;
}

Result<Answer> settings(const Call& call, pqxx::work&) {
  const auto& s = call.services.settings;
  return Answer{
      200, {{"appsScheme", s.apps_scheme}, {"appsPort", s.apps_port}, {"version", "0.1.0"}}, {}};
}

}  // namespace

void add_console(Routes& routes, const Services& services) {
  const auto guard = std::make_shared<SignInGuard>();
  routes.add_stream("POST", "/console/session",
                    [&services, guard](http::Request& request, http::ResponseWriter& writer,
                                       const http::PathParameters&) {
                      return sign_in(services, guard, request, writer);
                    });
  routes.add("DELETE", "/console/session", sign_out);
  routes.add("GET", "/console/settings", settings);
}

}  // namespace karreg::api::console
