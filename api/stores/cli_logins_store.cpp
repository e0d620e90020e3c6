#include "api/stores/cli_logins_store.hpp"

#include <algorithm>

#include "common/crypto/digest.hpp"

namespace karreg::api {

bool is_cli_request(const std::string& request) {
  return request.size() >= 20 && request.size() <= 100 && std::ranges::all_of(request, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

Result<void> accept_cli_login(pqxx::work& work, const Identity& identity,
                              const std::string& request) {
  work.exec0("DELETE FROM cli_logins WHERE expires_at < now()");
  const auto accepted = work.exec_params(
      "INSERT INTO cli_logins (request_hash, session_id, user_id, expires_at) "
      "VALUES ($1, $2, $3, now() + interval '2 minutes') ON CONFLICT DO NOTHING RETURNING 1",
      crypto::sha256_hex(request), identity.token_id, identity.user_id);
  if (accepted.empty())
    return Error(ErrorKind::conflict, "this login of a command line was accepted already");
  return ok();
}

Result<std::string> take_cli_login(pqxx::work& work, const std::string& request) {
  const auto taken = work.exec_params(
      "DELETE FROM cli_logins l USING tokens t WHERE l.request_hash = $1 AND l.expires_at > now() "
      "AND t.id = l.session_id AND t.expires_at > now() RETURNING l.user_id",
      crypto::sha256_hex(request));
  if (taken.empty())
    return Error(ErrorKind::not_found,
                 "nobody accepted this login yet: open its page in the console and accept it");
  return taken[0][0].as<std::string>();
}

}  // namespace karreg::api
