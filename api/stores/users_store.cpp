#include "api/stores/users_store.hpp"

#include <ctime>
#include <functional>

#include "common/crypto/digest.hpp"
#include "common/crypto/password.hpp"
#include "common/ids.hpp"

namespace karreg::api {

namespace {

/// The consumer that command lines and consoles of the platform use.
constexpr const char* own_consumer = "karreg-cli";

Error refused() {
  return Error(ErrorKind::unauthorized,
               "these credentials are not valid: sign in again, or check the token and its secret");
}

Identity identity_of(const pqxx::row& row) {
  return {row[0].as<std::string>(), row[1].as<std::string>(),  row[2].as<std::string>(),
          row[3].as<std::string>(), row[4].as<std::int64_t>(), false};
}

constexpr const char* identity_columns =
    "u.id, u.email, u.name, t.id, (extract(epoch FROM t.expires_at) * 1000)::bigint";

Result<Identity> identify_by_hash(pqxx::work& work, const std::string& token,
                                  const std::string& kind) {
  const auto rows =
      work.exec_params(std::string("SELECT ") + identity_columns +
                           " FROM tokens t JOIN users u ON u.id = t.user_id "
                           "WHERE t.token_hash = $1 AND t.kind = $2 AND t.expires_at > now()",
                       crypto::sha256_hex(token), kind);
  if (rows.empty()) return refused();
  return identity_of(rows[0]);
}

Result<Identity> identify_pair(
    pqxx::work& work, const crypto::Vault& vault, const std::string& token,
    const std::string& consumer,
    const std::function<Result<void>(const std::string&, const std::string&)>& verify) {
  const auto rows = work.exec_params(std::string("SELECT ") + identity_columns +
                                         ", t.sealed_secret, c.sealed_secret, c.key FROM tokens t "
                                         "JOIN users u ON u.id = t.user_id "
                                         "JOIN oauth_consumers c ON c.key = t.consumer_key "
                                         "WHERE t.token = $1 AND t.kind = 'oauth' AND t.expires_at "
                                         "> now() AND ($2 = '' OR c.key = $2)",
                                     token, consumer);
  if (rows.empty()) return refused();
  auto token_secret = vault.open(rows[0][5].as<std::string>(), token);
  auto consumer_secret = vault.open(rows[0][6].as<std::string>(), rows[0][7].as<std::string>());
  if (!token_secret || !consumer_secret)
    return Error(ErrorKind::internal, "a token cannot be read: was the key file replaced?");
  auto verified = verify(*consumer_secret, *token_secret);
  if (!verified) return verified.error();
  return identity_of(rows[0]);
}

}  // namespace

Result<Identity> identify(pqxx::work& work, const crypto::Vault& vault,
                          const Credentials& credentials, const SignedRequest& request) {
  if (const auto* bearer = std::get_if<BearerCredentials>(&credentials))
    return identify_by_hash(work, bearer->token, "bearer");
  if (const auto* basic = std::get_if<BasicCredentials>(&credentials)) {
    // git: the token pair as user and password, or an API token as password of any user.
    auto by_pair =
        identify_pair(work, vault, basic->user, "",
                      [&](const std::string&, const std::string& secret) -> Result<void> {
                        if (crypto::equal_in_constant_time(secret, basic->password)) return ok();
                        return refused();
                      });
    if (by_pair || by_pair.error().kind() != ErrorKind::unauthorized) return by_pair;
    return identify_by_hash(work, basic->password, "bearer");
  }
  const auto& oauth = std::get<OAuthCredentials>(credentials);
  if (oauth.is_hmac()) {
    auto fresh = check_timestamp(oauth, std::time(nullptr));
    if (!fresh) return fresh.error();
  }
  auto identity =
      identify_pair(work, vault, oauth.get("oauth_token"), oauth.get("oauth_consumer_key"),
                    [&](const std::string& consumer_secret, const std::string& token_secret) {
                      return verify_oauth(oauth, request, consumer_secret, token_secret);
                    });
  if (!identity || !oauth.is_hmac()) return identity;
  work.exec0("DELETE FROM oauth_nonces WHERE seen_at < now() - interval '20 minutes'");
  const auto seen = work.exec_params(
      "INSERT INTO oauth_nonces (token, nonce) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1",
      oauth.get("oauth_token"), oauth.get("oauth_nonce"));
  if (seen.empty()) return Error(ErrorKind::unauthorized, "this signed request was used before");
  return identity;
}

Result<Identity> identify_session(pqxx::work& work, const std::string& token) {
  auto identity = identify_by_hash(work, token, "session");
  if (identity) identity->by_cookie = true;
  return identity;
}

PasswordRecord password_record(pqxx::work& work, const std::string& email) {
  const auto rows = work.exec_params(
      "SELECT id, password_hash FROM users WHERE lower(email) = lower($1) AND password_hash IS NOT "
      "NULL",
      email);
  if (rows.empty()) return {};
  return {rows[0][0].as<std::string>(), rows[0][1].as<std::string>()};
}

Result<User> get_user(pqxx::work& work, const std::string& user_id) {
  const auto rows = work.exec_params(
      "SELECT id, email, name, (extract(epoch FROM created_at) * 1000)::bigint, password_hash IS "
      "NOT NULL "
      "FROM users WHERE id = $1",
      user_id);
  if (rows.empty()) return Error(ErrorKind::not_found, "there is no user " + user_id);
  return User{rows[0][0].as<std::string>(), rows[0][1].as<std::string>(),
              rows[0][2].as<std::string>(), rows[0][3].as<std::int64_t>(), rows[0][4].as<bool>()};
}

std::vector<Organisation> organisations_of(pqxx::work& work, const std::string& user_id) {
  std::vector<Organisation> all;
  for (const auto& row : work.exec_params(
           "SELECT o.id, o.name, m.role FROM organisations o JOIN members m ON m.org_id = o.id "
           "WHERE m.user_id = $1 ORDER BY m.is_default DESC, o.name",
           user_id))
    all.push_back({row[0].as<std::string>(), row[1].as<std::string>(), row[2].as<std::string>()});
  return all;
}

Result<std::string> resolve_owner(pqxx::work& work, const Identity& identity,
                                  const std::string& owner) {
  const bool personal = owner == "self" || owner == identity.user_id;
  const auto rows = work.exec_params(
      "SELECT org_id FROM members WHERE user_id = $1 AND (org_id = $2 OR ($3 AND is_default))",
      identity.user_id, owner, personal);
  if (rows.empty())
    return Error(ErrorKind::not_found,
                 "there is no organisation " + owner + " of which you are a member");
  return rows[0][0].as<std::string>();
}

Result<TokenPair> create_token_pair(pqxx::work& work, const crypto::Vault& vault,
                                    const std::string& user_id, const std::string& name) {
  TokenPair pair;
  pair.consumer_key = own_consumer;
  // The first process makes the consumer; the others read what it made.
  work.exec_params0(
      "INSERT INTO oauth_consumers (key, sealed_secret, name) VALUES ($1, $2, 'Karreg') ON "
      "CONFLICT DO NOTHING",
      pair.consumer_key, vault.seal(ids::random_token(24), pair.consumer_key));
  auto consumer_secret =
      vault.open(work.exec_params1("SELECT sealed_secret FROM oauth_consumers WHERE key = $1",
                                   pair.consumer_key)[0]
                     .as<std::string>(),
                 pair.consumer_key);
  if (!consumer_secret) return consumer_secret.error();
  pair.consumer_secret = *consumer_secret;
  pair.token = ids::random_token(24);
  pair.secret = ids::random_token(32);
  pair.expires_ms = work.exec_params1(
                            "INSERT INTO tokens (id, kind, user_id, consumer_key, token, "
                            "sealed_secret, name, expires_at) "
                            "VALUES ($1, 'oauth', $2, $3, $4, $5, $6, now() + interval '1 year') "
                            "RETURNING (extract(epoch FROM expires_at) * 1000)::bigint",
                            ids::make("api_token_"), user_id, pair.consumer_key, pair.token,
                            vault.seal(pair.secret, pair.token), name)[0]
                        .as<std::int64_t>();
  return pair;
}

std::string create_bearer_token(pqxx::work& work, const std::string& user_id,
                                const std::string& name) {
  const std::string token = ids::random_token(36);
  work.exec_params0(
      "INSERT INTO tokens (id, kind, user_id, token_hash, name, expires_at) "
      "VALUES ($1, 'bearer', $2, $3, $4, now() + interval '1 year')",
      ids::make("api_token_"), user_id, crypto::sha256_hex(token), name);
  return token;
}

std::string create_session(pqxx::work& work, const std::string& user_id) {
  const std::string token = ids::random_token(36);
  work.exec_params0(
      "INSERT INTO tokens (id, kind, user_id, token_hash, name, expires_at) "
      "VALUES ($1, 'session', $2, $3, 'console', now() + interval '12 hours')",
      ids::make("api_token_"), user_id, crypto::sha256_hex(token));
  return token;
}

void delete_session(pqxx::work& work, const std::string& token_id) {
  work.exec_params0("DELETE FROM tokens WHERE kind = 'session' AND id = $1", token_id);
}

Result<User> create_user(pqxx::work& work, const std::string& email, const std::string& name,
                         const std::string& password) {
  const auto at = email.find('@');
  if (at == std::string::npos || at == 0 || at + 1 == email.size() ||
      email.find(' ') != std::string::npos)
    return Error(ErrorKind::invalid, "\"" + email + "\" is no e-mail address");
  if (!work.exec_params("SELECT 1 FROM users WHERE lower(email) = lower($1)", email).empty())
    return Error(ErrorKind::conflict, "there is a user with the address " + email + " already");
  const std::string user_id = ids::make("user_");
  const std::string org_id = ids::make("orga_");
  work.exec_params0(
      "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, $3, $4)", user_id, email,
      name, password.empty() ? std::nullopt : std::optional(crypto::hash_password(password)));
  work.exec_params0("INSERT INTO organisations (id, name) VALUES ($1, $2)", org_id, name);
  work.exec_params0(
      "INSERT INTO members (org_id, user_id, role, is_default) VALUES ($1, $2, 'ADMIN', true)",
      org_id, user_id);
  return get_user(work, user_id);
}

}  // namespace karreg::api
