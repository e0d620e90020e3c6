#pragma once
/// Users, organisations, tokens. Every function works in the caller's transaction.

#include <pqxx/pqxx>

#include "api/auth/credentials.hpp"
#include "api/core/model.hpp"
#include "common/crypto/vault.hpp"

namespace karreg::api {

/// Who holds these credentials. Error `unauthorized` without saying which part is wrong.
Result<Identity> identify(pqxx::work& work, const crypto::Vault& vault,
                          const Credentials& credentials, const SignedRequest& request);
/// Who holds the session cookie @p token.
Result<Identity> identify_session(pqxx::work& work, const std::string& token);

/// How a password of the user with this e-mail address is verified; both empty when there is no
/// such user, or the user has no password.
struct PasswordRecord {
  std::string user_id;
  std::string hash;
};
PasswordRecord password_record(pqxx::work& work, const std::string& email);
Result<User> get_user(pqxx::work& work, const std::string& user_id);
std::vector<Organisation> organisations_of(pqxx::work& work, const std::string& user_id);
/// The organisation that @p owner names for this user: an orga_ id, the user's own id, or "self"
/// for the personal space. Error `not_found`.
Result<std::string> resolve_owner(pqxx::work& work, const Identity& identity,
                                  const std::string& owner);

/// A token pair of the built-in consumer, for command lines; and a bearer token.
struct TokenPair {
  std::string token;
  std::string secret;
  std::string consumer_key;
  std::string consumer_secret;
  std::int64_t expires_ms = 0;
};
Result<TokenPair> create_token_pair(pqxx::work& work, const crypto::Vault& vault,
                                    const std::string& user_id, const std::string& name);
std::string create_bearer_token(pqxx::work& work, const std::string& user_id,
                                const std::string& name);
/// A browser session of twelve hours; returns the cookie's value.
std::string create_session(pqxx::work& work, const std::string& user_id);
/// Ends the session with this token id; other kinds of tokens stay.
void delete_session(pqxx::work& work, const std::string& token_id);

/// Makes a user with a personal space. Error `conflict` when the address is taken, `invalid` for a
/// bad one. An empty password: none.
Result<User> create_user(pqxx::work& work, const std::string& email, const std::string& name,
                         const std::string& password);

}  // namespace karreg::api
