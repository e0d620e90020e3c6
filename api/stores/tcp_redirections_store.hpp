#pragma once
/// Ports of the proxies that lead to port 4040 of an application's instances. Every function works
/// in the caller's transaction.

#include <cstdint>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "api/core/model.hpp"
#include "api/core/tcp_policy.hpp"

namespace karreg::api {

/// The ports of an app, ascending.
std::vector<std::uint16_t> list_tcp_redirections(pqxx::work& work, const std::string& app_id);

/// Gives @p app one more port: the one that it gave back last, if that is still kept for it; else
/// one that nobody had, the lowest first; else the one that was given back first. Errors:
/// `conflict` when the app has as many as it may, or no port is left, and says which.
Result<std::uint16_t> add_tcp_redirection(pqxx::work& work, const App& app,
                                          const TcpPolicy& policy);
/// Takes @p port from the app. Error `not_found`.
Result<void> remove_tcp_redirection(pqxx::work& work, const App& app, std::uint16_t port);

}  // namespace karreg::api
