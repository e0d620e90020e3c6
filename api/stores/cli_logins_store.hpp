#pragma once
/// Logins of command lines that a browser accepts: the command line invents a random text, shows it
/// to the user in an address and asks for its token pair until the user accepted that text in the
/// console.

#include <pqxx/pqxx>

#include "api/core/model.hpp"

namespace karreg::api {

/// Whether @p request can be the random text of a command line: 20 to 100 of A-Z a-z 0-9 - and _.
bool is_cli_request(const std::string& request);

/// @p identity, in a console session, accepts @p request; good for two minutes and while that
/// session lasts. Error `conflict` when it is accepted already.
Result<void> accept_cli_login(pqxx::work& work, const Identity& identity,
                              const std::string& request);

/// Takes the acceptance of @p request away: whose it was. Error `not_found` while nobody accepted.
Result<std::string> take_cli_login(pqxx::work& work, const std::string& request);

}  // namespace karreg::api
